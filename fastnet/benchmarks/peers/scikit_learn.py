"""scikit-learn's MLPClassifier, for trainings with a warm start: every fit goes on from the weights there are."""

import warnings
from typing import Any

import numpy as np
import sklearn
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from ..workloads import Weights
from . import Peer

warnings.simplefilter("ignore", ConvergenceWarning)


class ScikitLearnPeer(Peer):
    optimizers = ("sgd", "adam")

    @staticmethod
    def version() -> str:
        return f"scikit-learn {sklearn.__version__}"

    def classifier(self, **settings: Any) -> Any:
        """The workload's network, which trains to the last epoch and knows no penalty; not yet fitted."""
        workload = self.workload
        if workload.optimizer == "sgd":
            settings |= {"momentum": 0.0, "nesterovs_momentum": False}
        return MLPClassifier(
            workload.sizes[1:-1],
            activation=workload.hidden,
            solver=workload.optimizer,
            alpha=0.0,
            batch_size=min(workload.batch_size, len(self.X)),
            learning_rate_init=workload.learning_rate,
            tol=0.0,
            n_iter_no_change=10**9,
            **settings,
        )

    def load(self, X: np.ndarray, y: np.ndarray) -> None:
        self.X, self.y = X, y
        workload = self.workload
        self.model = self.classifier(shuffle=False, max_iter=1, warm_start=True)
        # One pass makes the arrays; a few rows, with all classes among them, are enough for that.
        classes = np.arange(max(2, workload.sizes[-1]))
        rows = np.resize(np.arange(len(self.X)), max(len(classes), min(workload.batch_size, len(self.X))))
        self.model.fit(self.X[rows], np.resize(classes, len(rows)))

    def reset(self, weights: Weights) -> None:
        for l, (W, b) in enumerate(weights):
            self.model.coefs_[l][:], self.model.intercepts_[l][:] = W.T, b

    def train(self, epochs: int) -> None:
        self.model.set_params(max_iter=epochs)
        self.model.fit(self.X, self.y)

    def fit(self) -> None:
        self.model = self.classifier(max_iter=self.workload.epochs)
        self.model.fit(self.X, self.y)

    def weights(self) -> Weights:
        return [(W.T, b) for W, b in zip(self.model.coefs_, self.model.intercepts_, strict=True)]

    def predict(self) -> Any:
        return self.model.predict_proba(self.X)
