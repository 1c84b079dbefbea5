"""A search over parameters on a Dask cluster: each worker trains, and what they find is one GridSearchCV.

    python examples/search_on_dask.py                       # on two processes of this machine
    python examples/search_on_dask.py tcp://scheduler:8786  # on a cluster that is there

It needs scikit-learn and Dask, and so do the workers: pip install '.[sklearn]' distributed
"""

import sys
import warnings
from typing import Any

import joblib
from dask.distributed import Client
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import fastnet as fn
from fastnet.sklearn import MLPClassifier


def search(client: Client, max_iter: int = 30) -> Any:
    """The search, fitted; its trainings run wherever the client's workers are."""
    X, y = load_digits(return_X_y=True)
    # Dask starts a process a core, and each trains by itself: so one thread is its share.
    model = MLPClassifier(max_iter=max_iter, learning_rate=fn.schedules.cosine(3e-3), n_threads=1, random_state=0)
    grid = {"hidden_layer_sizes": [(32,), (64, 32)], "dropout": [0.0, 0.2], "batch_norm": [False, True]}
    grid = {f"mlpclassifier__{name}": values for name, values in grid.items()}
    found = GridSearchCV(make_pipeline(StandardScaler(), model), grid, cv=3)
    with joblib.parallel_config("dask", wait_for_workers_timeout=60), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the schedule ends each training
        found.fit(X, y)
    return found


def main(address: str | None = None) -> Any:
    where = {"address": address} if address else {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with Client(**where) as client:
        print(f"{len(client.scheduler_info()['workers'])} workers")
        found = search(client)
    results = zip(found.cv_results_["mean_test_score"], found.cv_results_["params"], strict=True)
    for accuracy, settings in sorted(results, key=lambda result: -result[0]):
        print(f"{accuracy:.1%}  {settings}")
    return found


if __name__ == "__main__":
    main(*sys.argv[1:])
