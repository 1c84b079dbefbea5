"""scikit-learn's multi-layer perceptrons, trained and run by fastnet: change the import line, and nothing else.

    from fastnet.sklearn import MLPClassifier      # instead of sklearn.neural_network

Parameters, attributes, first weights and the order of samples are scikit-learn's, so results are, too, up to rounding.
docs/scikit-learn.md lists what differs.
"""

try:
    from .estimators import MLPClassifier, MLPRegressor
except ModuleNotFoundError as error:
    if error.name is None or error.name.split(".")[0] not in ("sklearn", "scipy"):
        raise
    raise ModuleNotFoundError(
        f"fastnet.sklearn needs {error.name}: pip install 'fastnet-numba[sklearn]'", name=error.name
    ) from error

__all__ = ["MLPClassifier", "MLPRegressor"]
