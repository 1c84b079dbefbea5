"""fastnet trains and runs neural networks at the speed of the machine.

>>> import fastnet as fn
>>> X, y = fn.datasets.digits()
>>> net = fn.Network([fn.Dense(64, "relu"), fn.Dense(10, "softmax")])
>>> history = net.fit(X, y, epochs=5, verbose=False)
>>> int(net.predict(X[:1])[0])
0
"""

from . import datasets
from .benchmarks.comparison import compare
from .gradient_check import check_gradients
from .history import History
from .layers import Dense, Rescale
from .network import LogisticRegression, Network
from .optimizers import SGD
from .storage import load
from .training import DivergenceError

__version__ = "0.1.0"

__all__ = [
    "SGD",
    "Dense",
    "DivergenceError",
    "History",
    "LogisticRegression",
    "Network",
    "Rescale",
    "check_gradients",
    "compare",
    "datasets",
    "load",
]
