"""What people do with estimators: searches, ensembles, calibration, curves, data frames, files."""

import os
import runpy
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

import fastnet as fn

sklearn = pytest.importorskip("sklearn", minversion="1.9", reason="scikit-learn 1.9 is not installed")

import joblib  # noqa: E402
from sklearn import datasets, neural_network  # noqa: E402
from sklearn.base import clone  # noqa: E402
from sklearn.calibration import CalibratedClassifierCV  # noqa: E402
from sklearn.ensemble import BaggingClassifier, StackingRegressor, VotingClassifier  # noqa: E402
from sklearn.inspection import partial_dependence, permutation_importance  # noqa: E402
from sklearn.linear_model import LogisticRegression, Ridge  # noqa: E402
from sklearn.model_selection import (  # noqa: E402
    GridSearchCV,
    RandomizedSearchCV,
    cross_val_score,
    cross_validate,
    learning_curve,
)
from sklearn.multiclass import OneVsRestClassifier  # noqa: E402
from sklearn.multioutput import MultiOutputClassifier, MultiOutputRegressor  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import StandardScaler, scale  # noqa: E402
from sklearn.utils import estimator_html_repr  # noqa: E402

from fastnet.sklearn import MLPClassifier, MLPRegressor  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, y = datasets.load_wine(return_X_y=True)
X, y = scale(X), np.array(["barolo", "grignolino", "barbera"])[y]
NUMBERS = X[:, 1:3] + X[:, 5:7]
SETTINGS = {"hidden_layer_sizes": (8,), "max_iter": 20, "learning_rate_init": 0.02, "random_state": 0}
# With further keywords, what surrounds the estimator must not see the difference.
KEYWORDS = {"dropout": 0.1, "batch_norm": True, "n_threads": 1, "dtype": "float32", "metrics": ["f1"]}


@pytest.fixture(params=[{}, KEYWORDS], ids=["plain", "keywords"])
def model(request):
    return MLPClassifier(**SETTINGS, **request.param)


# ---------------------------------------------------------------- searches


def test_workers_have_their_share_of_threads_and_compile_nothing():
    MLPClassifier(**SETTINGS).fit(X, y)  # so that there is compiled code to be found

    def seen(model, X, y):  # by a worker: not by name, as it could not import this file
        import numba
        from fastnet_kernels.cpu.program.run import run

        compiled = sum(run.stats.cache_misses.values())
        return {"threads": numba.config.NUMBA_NUM_THREADS, "compiled": compiled, "score": model.score(X, y)}

    grid = {"alpha": [1e-4, 1e-2, 1]}
    search = GridSearchCV(MLPClassifier(**SETTINGS), grid, cv=2, n_jobs=2, scoring=seen, refit="score").fit(X, y)
    share = int(os.environ.get("NUMBA_NUM_THREADS", max(1, joblib.cpu_count() // 2)))
    assert set(search.cv_results_["mean_test_threads"]) == {share}
    assert not search.cv_results_["mean_test_compiled"].any()
    expected = GridSearchCV(neural_network.MLPClassifier(**SETTINGS), grid, cv=2).fit(X, y)
    np.testing.assert_allclose(search.cv_results_["mean_test_score"], expected.cv_results_["mean_test_score"])


def test_searches_over_further_keywords():
    grid = {
        "mlpclassifier__layers": [[fn.Dense(9, "gelu")], [fn.Dense(9), fn.BatchNorm("relu"), fn.Dropout(0.1)]],
        "mlpclassifier__learning_rate": [fn.schedules.cosine(0.02), "constant"],
        "mlpclassifier__class_weight": [None, "balanced"],
    }
    model = make_pipeline(StandardScaler(), MLPClassifier(max_iter=20, learning_rate_init=0.02, random_state=0))
    search = GridSearchCV(model, grid, cv=2, n_jobs=2).fit(X, y)
    assert search.best_score_ > 0.9
    assert len(search.cv_results_["params"]) == 8
    found = RandomizedSearchCV(model, grid, n_iter=3, cv=2, random_state=0).fit(X, y)
    assert found.best_score_ <= search.best_score_
    assert found.best_estimator_[-1].network_.predict(X).shape == (178,)


@pytest.mark.slow
def test_a_search_on_a_cluster_of_dask_finds_what_a_search_here_does(monkeypatch):
    distributed = pytest.importorskip("distributed")
    root = Path(__file__).parents[2]
    monkeypatch.setenv("PYTHONPATH", f"{root}:{root / 'kernels'}")
    script = runpy.run_path(str(root / "examples" / "search_on_dask.py"))
    with distributed.Client(n_workers=2, threads_per_worker=1, dashboard_address=None) as client:
        found = script["search"](client, max_iter=2)
        used = client.run(lambda: "fastnet.sklearn" in sys.modules)
    assert list(used.values()) == [True, True]
    digits = datasets.load_digits(return_X_y=True)
    expected = clone(found).set_params(n_jobs=1).fit(*digits)
    assert found.cv_results_["params"] == expected.cv_results_["params"]
    np.testing.assert_array_equal(found.cv_results_["mean_test_score"], expected.cv_results_["mean_test_score"])


def test_cross_validation_and_learning_curves(model):
    expected = [clone(model).fit(X[::2], y[::2]).score(X[1::2], y[1::2])]
    rows = np.arange(178)
    np.testing.assert_allclose(cross_val_score(model, X, y, cv=[(rows[::2], rows[1::2])]), expected)
    sizes, _, scores = learning_curve(model, X, y, train_sizes=[0.5, 1.0], cv=3, shuffle=True, random_state=0)
    assert sizes.tolist() == [59, 118]
    assert scores.mean() > 0.85
    _, _, scores = learning_curve(
        model, X, y, train_sizes=[0.5, 1.0], cv=3, shuffle=True, random_state=0, exploit_incremental_learning=True
    )
    assert np.isfinite(scores).all()


# ---------------------------------------------------------------- what is built upon estimators


@pytest.mark.parametrize(
    "around",
    [
        lambda model: CalibratedClassifierCV(model, cv=2),
        lambda model: VotingClassifier([("mlp", model), ("line", LogisticRegression())], voting="soft"),
        lambda model: BaggingClassifier(model, n_estimators=2, random_state=0),
        lambda model: BaggingClassifier(model, n_estimators=2, n_jobs=2, random_state=0),
        lambda model: OneVsRestClassifier(model, n_jobs=2),
        lambda model: make_pipeline(StandardScaler(), model),
    ],
    ids=["calibrated", "voting", "bagging", "bagging in workers", "one against the rest", "pipeline"],
)
def test_classifiers_around_classifiers(model, around):
    found = around(model).fit(X, y)
    assert found.score(X, y) > 0.9
    probabilities = found.predict_proba(X)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    assert (found.classes_[probabilities.argmax(axis=1)] == found.predict(X)).all()


def test_several_outputs():
    labels = np.c_[y, y == "barolo"]
    found = MultiOutputClassifier(MLPClassifier(**SETTINGS), n_jobs=2).fit(X, labels)
    assert (found.predict(X) == labels).mean() > 0.9
    regressor = MLPRegressor(hidden_layer_sizes=(8,), solver="lbfgs", random_state=0, max_iter=50)
    assert MultiOutputRegressor(regressor).fit(X, NUMBERS).score(X, NUMBERS) > 0.9
    stacked = StackingRegressor([("mlp", regressor), ("line", Ridge())], cv=2).fit(X, NUMBERS[:, 0])
    assert stacked.score(X, NUMBERS[:, 0]) > 0.9


def test_inspection(model):
    model.fit(X, y)
    importance = permutation_importance(model, X, y, n_repeats=3, random_state=0, n_jobs=2).importances_mean
    assert importance.shape == (13,)
    assert importance.max() > 0.02
    curves = partial_dependence(model, X, [0], grid_resolution=5)["average"]
    assert curves.shape == (3, 5)
    np.testing.assert_allclose(curves.sum(axis=0), 1, rtol=1e-5)


# ---------------------------------------------------------------- weights that are routed


def test_weights_are_routed():
    weights = np.where(y == "barolo", 10.0, 0.1)
    with sklearn.config_context(enable_metadata_routing=True):
        asked, not_asked = (
            MLPClassifier(**SETTINGS)
            .set_fit_request(sample_weight=is_asked)
            .set_score_request(sample_weight=True)
            .set_partial_fit_request(classes=True)
            for is_asked in (True, False)
        )
        scaler = StandardScaler().set_fit_request(sample_weight=False)
        found = make_pipeline(scaler, asked).fit(X, y, sample_weight=weights)
        expected = clone(asked).fit(StandardScaler().fit_transform(X), y, sample_weight=weights)
        assert found[-1].loss_curve_ == expected.loss_curve_
        given = cross_validate(asked, X, y, cv=2, params={"sample_weight": weights}, return_estimator=True)
        ignored = cross_validate(not_asked, X, y, cv=2, params={"sample_weight": weights}, return_estimator=True)
        losses = [result["estimator"][0].loss_ for result in (given, ignored)]
        assert losses[0] != losses[1]


# ---------------------------------------------------------------- data frames


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_names_of_features_are_kept_and_checked(model, library):
    frames = pytest.importorskip(library)
    columns = {f"x{i}": X[:, i] for i in range(13)}
    frame = frames.DataFrame(columns)
    model.fit(frame, frames.Series(y.tolist()))
    assert model.feature_names_in_.tolist() == list(columns)
    expected = clone(model).fit(X, y).predict(X)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(model.predict(frame), expected)
    with pytest.warns(UserWarning, match="feature names"):
        model.predict(X)
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(frames.DataFrame(dict(reversed(columns.items()))))
    with pytest.raises(ValueError, match="feature names should match"):
        model.partial_fit(frames.DataFrame({f"z{i}": X[:, i] for i in range(13)}), y)


def test_transformers_that_make_frames(model):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=[f"x{i}" for i in range(13)])
    pipeline = make_pipeline(StandardScaler(), model).set_output(transform="pandas").fit(frame, pandas.Series(y))
    assert pipeline[-1].feature_names_in_.tolist() == list(frame.columns)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert pipeline.score(frame, y) > 0.9


# ---------------------------------------------------------------- files and pictures


def test_files_of_joblib(model, tmp_path):
    pipeline = make_pipeline(StandardScaler(), model).fit(X, y)
    joblib.dump(pipeline, tmp_path / "model.joblib", compress=3)
    again = joblib.load(tmp_path / "model.joblib")
    np.testing.assert_array_equal(again.predict_proba(X), pipeline.predict_proba(X))
    joblib.dump(pipeline, tmp_path / "plain.joblib")
    mapped = joblib.load(tmp_path / "plain.joblib", mmap_mode="r")  # weights that nobody may write to
    np.testing.assert_array_equal(mapped.predict_proba(X), pipeline.predict_proba(X))
    losses = list(mapped[-1].loss_curve_)
    mapped[-1].partial_fit(X, y)
    assert mapped[-1].loss_curve_[:-1] == losses


def test_diagrams_show_what_was_given(model):
    text = estimator_html_repr(model.set_params(alpha=0.25))
    assert "MLPClassifier" in text
    assert "0.25" in text
    assert all(name in text for name in ("dropout", "batch_norm", "layers", "n_threads", "class_weight"))
    assert repr(clone(model)) == repr(model)
    assert repr(MLPRegressor(layers=[fn.Dense(3, "tanh")])) == "MLPRegressor(layers=[Dense(3, activation='tanh')])"
