"""The network that the course begins with."""

from numpy.typing import DTypeLike

from .layers import Dense, Rescale
from .network import Network


class LogisticRegression(Network):
    """Logistic regression: the network of one sigmoid unit, from zero weights, as the course begins.

    Parameters
    ----------
    scale : float, optional
        Inputs are read as `scale * x`; 1/255 for images of uint8.
    seed, dtype
        As of `Network`.

    Examples
    --------
    >>> import fastnet as fn
    >>> X, y = fn.datasets.planar()
    >>> net = fn.LogisticRegression(dtype="float64")
    >>> history = net.fit(X, y, epochs=100, batch_size=None, optimizer=fn.SGD(1.0), verbose=False)
    >>> net.evaluate(X, y)["accuracy"] < 0.6  # no straight line divides a flower
    True
    """

    def __init__(self, *, scale: float | None = None, seed: int = 0, dtype: DTypeLike = "float32") -> None:
        output = Dense(1, "sigmoid", init="zeros")
        super().__init__([output] if scale is None else [Rescale(scale), output], seed=seed, dtype=dtype)
