"""The estimators against scikit-learn's own: losses, weights, predictions, and what else one does with them."""

import copy
import pickle
import subprocess
import sys
import warnings
from pathlib import Path

import numba
import numpy as np
import pytest

import fastnet as fn

sklearn = pytest.importorskip("sklearn", minversion="1.9", reason="scikit-learn 1.9 is not installed")

import scipy.sparse  # noqa: E402
from sklearn import datasets, neural_network  # noqa: E402
from sklearn.base import clone  # noqa: E402
from sklearn.model_selection import GridSearchCV  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import StandardScaler, scale  # noqa: E402
from sklearn.utils.estimator_checks import parametrize_with_checks  # noqa: E402

import fastnet.sklearn  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def data(name):
    if name == "three outputs":
        X, y = datasets.make_regression(300, 10, n_targets=3, random_state=0)
        return X, y / 100
    if name == "three answers":
        return datasets.make_multilabel_classification(300, n_classes=3, random_state=0)
    X, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    return scale(X), y / 100 if name == "diabetes" else y


NUMBERS = ("diabetes", "three outputs")
DATA = ("digits", "iris", "breast_cancer", "wine", *NUMBERS, "three answers")
SETTINGS = {
    "adam": {},
    "sgd": {"solver": "sgd"},
    "plain": {"solver": "sgd", "momentum": 0, "alpha": 0, "activation": "tanh"},
    "invscaling": {"solver": "sgd", "learning_rate": "invscaling", "learning_rate_init": 0.05},
    "adaptive": {"solver": "sgd", "learning_rate": "adaptive", "learning_rate_init": 0.02, "tol": 0.1},
    "polyak": {"solver": "sgd", "nesterovs_momentum": False, "batch_size": 33, "shuffle": False},
    "early stopping": {"early_stopping": True, "alpha": 0.1},
    "two layers": {"activation": "logistic", "hidden_layer_sizes": (20, 10), "batch_size": 33},
    "none hidden": {"hidden_layer_sizes": (), "activation": "identity"},
    "lbfgs": {"solver": "lbfgs"},
}


def both(name, fit=(), **settings):
    """scikit-learn's and fastnet's, fitted to the same."""
    kind = "MLPRegressor" if name in NUMBERS else "MLPClassifier"
    X, y = data(name)
    settings = {"max_iter": 12, "random_state": 3, "hidden_layer_sizes": (17,)} | settings
    return [getattr(module, kind)(**settings).fit(X, y, **dict(fit)) for module in (neural_network, fastnet.sklearn)], X


def outputs(model, X):
    return model.predict_proba(X) if hasattr(model, "predict_proba") else model.predict(X)


def assert_alike(expected, found, X, tolerance=1e-9):
    if expected.solver != "lbfgs":
        np.testing.assert_allclose(found.loss_curve_, expected.loss_curve_, rtol=tolerance)
    assert found.n_iter_ == expected.n_iter_
    np.testing.assert_allclose(found.loss_, expected.loss_, rtol=tolerance)
    for mine, given in zip(found.coefs_ + found.intercepts_, expected.coefs_ + expected.intercepts_, strict=True):
        np.testing.assert_allclose(mine, given, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(outputs(found, X), outputs(expected, X), rtol=tolerance, atol=tolerance)
    if sklearn.base.is_classifier(expected):
        assert (found.predict(X) == expected.predict(X)).mean() > 0.99


@pytest.mark.parametrize("name", DATA)
@pytest.mark.parametrize("settings", SETTINGS)
def test_training_is_scikit_learns(name, settings):
    (expected, found), X = both(name, **SETTINGS[settings])
    assert_alike(expected, found, X, 1e-6 if settings == "lbfgs" else 1e-9)
    if settings == "early stopping":
        assert found.validation_scores_ == expected.validation_scores_ or name in NUMBERS


@pytest.mark.parametrize("name", ["iris", "three outputs"])
@pytest.mark.parametrize("settings", ["adam", "sgd", "early stopping", "lbfgs"])
def test_sample_weights(name, settings):
    weights = np.random.default_rng(0).uniform(0.1, 2, len(data(name)[0]))
    (expected, found), X = both(name, {"sample_weight": weights}, **SETTINGS[settings])
    assert_alike(expected, found, X, 1e-6)


@pytest.mark.parametrize("kind", [scipy.sparse.csr_matrix, scipy.sparse.csc_array])
@pytest.mark.parametrize("settings", ["adam", "polyak", "lbfgs"])
def test_sparse(kind, settings, monkeypatch):
    from fastnet.sklearn import compiled

    monkeypatch.setattr(compiled, "_DENSE_BYTES", 300 * 64 * 8)  # less than all
    X, y = data("digits")
    settings = {"max_iter": 6, "random_state": 0} | SETTINGS[settings]
    expected = neural_network.MLPClassifier(**settings).fit(kind(X), y)
    found = fastnet.sklearn.MLPClassifier(**settings).fit(kind(X), y)
    assert_alike(expected, found, kind(X), 1e-6)


def test_float32_stays_float32():
    X, y = data("wine")
    expected = neural_network.MLPClassifier(max_iter=10, random_state=0).fit(X.astype(np.float32), y)
    found = fastnet.sklearn.MLPClassifier(max_iter=10, random_state=0).fit(X.astype(np.float32), y)
    assert {array.dtype for array in found.coefs_ + found.intercepts_} == {np.dtype("float32")}
    np.testing.assert_allclose(found.loss_curve_, expected.loss_curve_, rtol=1e-5)


@pytest.mark.parametrize("threads", [1, 2])
def test_any_number_of_threads_gives_the_same_bits(threads):
    before = numba.get_num_threads()
    fn.set_num_threads(threads)
    try:
        (_, found), _ = both("digits")
    finally:
        fn.set_num_threads(before)
    assert found.loss_curve_ == both("digits")[0][1].loss_curve_


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_partial_fit_goes_on_and_so_do_copies_of_it(solver):
    X, y = data("digits")
    expected, found = (
        module.MLPClassifier(solver=solver, random_state=0) for module in (neural_network, fastnet.sklearn)
    )
    for start in range(0, 1200, 200):
        for model in (expected, found):
            model.partial_fit(X[start : start + 200], y[start : start + 200], classes=range(10))
        found = pickle.loads(pickle.dumps(found)) if start % 400 else copy.deepcopy(found)
    np.testing.assert_allclose(found.loss_curve_, expected.loss_curve_, rtol=1e-9)
    np.testing.assert_allclose(outputs(found, X), outputs(expected, X), atol=1e-9)


def test_warm_start():
    X, y = data("wine")
    settings = {"warm_start": True, "solver": "sgd", "learning_rate": "invscaling", "max_iter": 5, "random_state": 0}
    expected, found = (module.MLPClassifier(**settings) for module in (neural_network, fastnet.sklearn))
    for alpha in (1e-4, 0.1):
        for model in (expected, found):
            model.set_params(alpha=alpha).fit(X, y)
    np.testing.assert_allclose(found.loss_curve_, expected.loss_curve_, rtol=1e-9)


def test_weights_that_somebody_changes_count():
    (expected, found), X = both("wine")
    for model in (expected, found):
        model.coefs_[0][:] *= 2
    np.testing.assert_allclose(outputs(found, X), outputs(expected, X), atol=1e-9)
    for model in (expected, found):
        model.coefs_ = [array / 2 for array in model.coefs_]
        model.intercepts_[-1] = np.arange(3.0)
    np.testing.assert_allclose(outputs(found, X), outputs(expected, X), atol=1e-9)


def test_pickles_hold_plain_arrays_and_predict_the_same():
    (_, found), X = both("digits")
    again = pickle.loads(pickle.dumps(found))
    assert all(array.flags.c_contiguous for array in again.coefs_)
    assert np.array_equal(again.predict_proba(X), found.predict_proba(X))


def test_divergence_ends_as_scikit_learns():
    X, y = data("diabetes")
    settings = {"solver": "sgd", "learning_rate_init": 1e6, "activation": "identity"}
    with pytest.raises(ValueError, match="non-finite parameter weights"):
        fastnet.sklearn.MLPRegressor(**settings).fit(X, y)


def test_mini_batches_without_weight_are_left_out():
    X, y = data("iris")
    weights = np.r_[np.zeros(100), np.ones(50)]
    model = fastnet.sklearn.MLPClassifier(shuffle=False, batch_size=50, max_iter=3, random_state=0)
    assert np.isfinite(model.fit(X, y, sample_weight=weights).loss_curve_).all()


@pytest.mark.parametrize("bad", [np.full((1, 13), np.nan), np.zeros((1, 12)), np.zeros(13), np.zeros((0, 13))])
def test_predictions_of_what_is_no_sample_are_refused(bad):
    (expected, found), _ = both("wine")
    for model in (expected, found):
        with pytest.raises(ValueError, match=r"NaN|features|2D|0 sample"):
            model.predict(bad)


def test_pipelines_searches_and_clones():
    X, y = data("wine")
    model = make_pipeline(StandardScaler(), fastnet.sklearn.MLPClassifier(max_iter=30, random_state=0))
    search = GridSearchCV(model, {"mlpclassifier__alpha": [1e-4, 1e-2]}, cv=2, n_jobs=2).fit(X, y)
    theirs = make_pipeline(StandardScaler(), neural_network.MLPClassifier(max_iter=30, random_state=0))
    expected = GridSearchCV(theirs, search.param_grid, cv=2).fit(X, y)
    np.testing.assert_allclose(search.cv_results_["mean_test_score"], expected.cv_results_["mean_test_score"])
    fitted = search.best_estimator_[-1]
    assert clone(fitted).get_params() == fitted.get_params()


def test_data_frames():
    pandas = pytest.importorskip("pandas")
    X, y = data("wine")
    frame = pandas.DataFrame(X, columns=[f"x{i}" for i in range(X.shape[1])])
    found = fastnet.sklearn.MLPClassifier(max_iter=5, random_state=0).fit(frame, pandas.Series(y))
    assert list(found.feature_names_in_) == list(frame.columns)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found.predict(frame)
    with pytest.warns(UserWarning, match="feature names"):
        found.predict(X)


@pytest.mark.slow
@parametrize_with_checks([fastnet.sklearn.MLPClassifier(max_iter=100), fastnet.sklearn.MLPRegressor(max_iter=100)])
def test_scikit_learns_checks_of_estimators(estimator, check):
    check(estimator)


@pytest.mark.slow
def test_scikit_learns_own_tests(tmp_path, monkeypatch):
    """Of its perceptrons, with the import line changed, and no other: private functions are tested as well."""
    source = Path(neural_network.__file__).with_name("tests") / "test_mlp.py"
    text = source.read_text()
    line = "from sklearn.neural_network import MLPClassifier, MLPRegressor\n"
    assert line in text
    changed = tmp_path / "test_mlp_changed.py"
    changed.write_text(text.replace(line, "from fastnet.sklearn import MLPClassifier, MLPRegressor\n"))
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "sklearn.conftest", "-p", "no:cacheprovider", str(changed)]
    root = str(Path(__file__).parents[2])
    monkeypatch.setenv("PYTHONPATH", f"{root}:{root}/kernels")
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    assert " passed" in done.stdout
    assert "skipped" not in done.stdout.splitlines()[-1]


def test_ctrl_c_ends_between_steps_and_leaves_a_model(monkeypatch):
    from fastnet.sklearn import compiled

    calls = iter(range(1000))

    def clock():
        if next(calls) == 40:  # in the middle of an epoch
            raise KeyboardInterrupt
        return float(next(calls))  # so long that each step is a call

    monkeypatch.setattr(compiled, "clock", clock)
    X, y = data("digits")
    model = fastnet.sklearn.MLPClassifier(random_state=0, max_iter=50)
    with pytest.warns(UserWarning, match="interrupted"):
        model.fit(X, y)
    assert 1 <= model.n_iter_ < 50
    assert model.score(X, y) > 0.2


def test_weights_that_are_put_in_place_of_others_change_none_of_these():
    (_, found), X = both("diabetes")
    own, before = found.coefs_, found.predict(X)
    for _ in range(2):
        found.coefs_ = [array + 0.1 for array in own]
        assert not np.allclose(found.predict(X), before)
        found.coefs_ = own
        assert np.array_equal(found.predict(X), before)
    found.coefs_ = [own[0][:, ::-1], own[1]]
    assert np.array_equal(found.predict(X), found.predict(X))
    kept = [array.copy() for array in own]
    found.partial_fit(X, data("diabetes")[1])
    assert all(np.array_equal(mine, array) for mine, array in zip(own, kept, strict=True))


def test_copies_share_nothing():
    X, y = data("diabetes")
    model = fastnet.sklearn.MLPRegressor(random_state=0).partial_fit(X, y)
    other = copy.copy(model)
    before = other.predict(X)
    for _ in range(20):
        model.partial_fit(X, y)
    assert np.array_equal(other.predict(X), before)
    assert other._training.steps < model._training.steps


def test_an_unpickled_model_keeps_its_network(monkeypatch):
    from fastnet.sklearn import compiled

    (_, found), X = both("wine")
    again = pickle.loads(pickle.dumps(found))
    again.predict(X)
    monkeypatch.setattr(compiled, "Network", None)  # none is made any more
    assert np.array_equal(again.predict(X), found.predict(X))
    again.set_params(alpha=-1.0).predict(X)


@pytest.mark.parametrize("method", ["partial_fit", "fit"])
def test_other_sizes_than_the_weights_have_are_refused(method):
    X, y = data("three outputs")
    model = fastnet.sklearn.MLPRegressor(hidden_layer_sizes=(5,), warm_start=True, random_state=0, max_iter=3).fit(X, y)
    with pytest.raises(ValueError, match=r"layers of \[10, 5, 3\] units, and .* ask for \[10, 5, 1\]"):
        getattr(model, method)(X, y[:, 0])
    with pytest.raises(ValueError, match=r"ask for \[10, 4, 3\]"):
        getattr(model.set_params(hidden_layer_sizes=(4,)), method)(X, y)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_momentum_of_one_and_negative_weights():
    (expected, found), X = both("iris", solver="sgd", momentum=1.0, learning_rate_init=1e-4)
    assert_alike(expected, found, X)
    (expected, found), X = both("iris", {"sample_weight": -np.ones(150)})
    np.testing.assert_allclose(found.loss_curve_, expected.loss_curve_, rtol=1e-9)


def test_sparse_answers_stay_sparse():
    X, y = data("three answers")
    model = fastnet.sklearn.MLPClassifier(max_iter=3, random_state=0).fit(X, scipy.sparse.csr_matrix(y))
    assert scipy.sparse.issparse(model.predict(X))
    assert scipy.sparse.issparse(model.predict(X.tolist()))


def test_lbfgs_makes_float64_of_float32_as_there():
    X, y = data("wine")
    models = [
        module.MLPClassifier(solver="lbfgs", max_iter=8, random_state=0).fit(X.astype(np.float32), y)
        for module in (neural_network, fastnet.sklearn)
    ]
    for model in models:
        assert model.coefs_[0].dtype == model.predict_proba(X[:2].astype(np.float32)).dtype == np.float64
    np.testing.assert_allclose(models[1].loss_, models[0].loss_, rtol=1e-5)
