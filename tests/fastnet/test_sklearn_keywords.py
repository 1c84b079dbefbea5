"""The estimators' further keywords: what each does, that they go together, and what is refused."""

import copy
import inspect
import pickle
import re
import threading

import numba
import numpy as np
import pytest

import fastnet as fn

sklearn = pytest.importorskip("sklearn", minversion="1.9", reason="scikit-learn 1.9 is not installed")

import scipy.sparse  # noqa: E402
from sklearn import datasets, neural_network  # noqa: E402
from sklearn.base import clone  # noqa: E402
from sklearn.preprocessing import scale  # noqa: E402
from sklearn.utils.class_weight import compute_sample_weight  # noqa: E402

from fastnet.sklearn import MLPClassifier, MLPRegressor  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

KINDS = np.array(["barolo", "grignolino", "barbera"])
X, y = datasets.load_wine(return_X_y=True)
X, y = scale(X), KINDS[y]
NUMBERS = X[:, 1:4] + X[:, 5:8]
# All at once. An epoch has two mini-batches of the same size.
EVERYTHING = {
    "hidden_layer_sizes": (12, 8), "dropout": [0.2, 0.1], "batch_norm": True,
    "learning_rate": fn.schedules.cosine(0.05), "metrics": ["f1"], "callbacks": [fn.LearningRateLogger()],
    "dtype": "float32", "n_threads": 1, "batch_size": 89, "class_weight": "balanced", "max_iter": 8, "random_state": 0,
}  # fmt: skip
LAYERS = [fn.Dense(9, "gelu"), fn.BatchNorm("silu"), fn.Dense(7, "elu"), fn.LayerNorm(), fn.Dense(5, "tanh")]


def names(given):
    """Of keywords, for the id of a test: the same in each process."""
    return "-".join(given) if isinstance(given, dict) else "refused"


class Recorder:
    """Keeps the network as it is before the first epoch, and after each."""

    def __init__(self):
        self.before, self.copies, self.calls = None, [], []

    def start(self, network, history):
        self.before = network.copy()
        self.calls.append("start")

    def __call__(self, epoch, history, network):
        self.copies.append(network.copy())
        self.calls.append(epoch)

    def end(self, network, history):
        self.calls.append("end")

    def finish(self, network, history):
        self.calls.append("finish")


def recorded(estimator, *data, **fit):
    recorder = Recorder()
    estimator.set_params(callbacks=[*(estimator.callbacks or []), recorder]).fit(*data, **fit)
    return estimator, recorder


def parameters(network):
    return {name: array.copy() for name, array in network.parameters.items()}


def assert_same(first, second):
    assert first.keys() == second.keys()
    for name, array in first.items():
        np.testing.assert_array_equal(array, second[name], err_msg=name)


@pytest.mark.parametrize(
    ("mine", "theirs"),
    [(MLPClassifier, neural_network.MLPClassifier), (MLPRegressor, neural_network.MLPRegressor)],
)
def test_parameters_and_defaults_are_scikit_learns(mine, theirs):
    found = inspect.signature(mine.__init__).parameters
    expected = inspect.signature(theirs.__init__).parameters
    assert [*found][: len(expected)] == [*expected]
    assert all((found[name].default, found[name].kind) == (p.default, p.kind) for name, p in expected.items())
    assert all(found[name].kind == inspect.Parameter.KEYWORD_ONLY for name in found.keys() - expected.keys())
    assert set(mine._parameter_constraints) == found.keys() - {"self"}


# ---------------------------------------------------------------- what each does


@pytest.mark.parametrize("solver", ["sgd", "adam", "lbfgs"])
@pytest.mark.parametrize("given", ["balanced", {"barolo": 3.0, "barbera": 0.5}])
def test_class_weights_are_weights_of_samples(solver, given):
    rows = np.r_[:100, 140:178]
    settings = {"solver": solver, "max_iter": 8, "random_state": 0, "early_stopping": solver == "adam"}
    weights = np.random.default_rng(0).uniform(0.5, 2, len(rows))
    of_classes = compute_sample_weight(given, y[rows])
    expected = neural_network.MLPClassifier(**settings).fit(X[rows], y[rows], sample_weight=weights * of_classes)
    found = MLPClassifier(class_weight=given, **settings).fit(X[rows], y[rows], sample_weight=weights)
    np.testing.assert_allclose(found.loss_, expected.loss_, rtol=1e-6)
    np.testing.assert_allclose(found.predict_proba(X), expected.predict_proba(X), atol=1e-6)


def test_class_weights_of_two_classes_and_of_samples_that_come_as_they_come():
    is_barolo = y == "barolo"
    found, expected = MLPClassifier(class_weight={True: 5}, random_state=0), MLPClassifier(random_state=0)
    for rows in (slice(50), slice(100, 178), slice(40, 120)):  # of the second mini-batch none is Barolo
        found.partial_fit(X[rows], is_barolo[rows], classes=[False, True])
        weights = np.where(is_barolo[rows], 5.0, 1.0)
        expected.partial_fit(X[rows], is_barolo[rows], classes=[False, True], sample_weight=weights)
    assert found.loss_curve_ == expected.loss_curve_


@pytest.mark.parametrize("solver", ["sgd", "adam"])
@pytest.mark.parametrize("kind", ["labels", "numbers"])
def test_training_is_the_networks_own(solver, kind):
    """The same losses, metrics and parameters as of `Network.fit` from the same start, with schedule and penalty."""
    rate = fn.schedules.cosine(0.05, warmup=2)
    model, targets, metrics = (
        (MLPClassifier(), y, ["f1"]) if kind == "labels" else (MLPRegressor(), NUMBERS[:, 0], ["mean_absolute_error"])
    )
    settings = {"layers": LAYERS, "solver": solver, "learning_rate": rate, "metrics": metrics, "alpha": 0.3}
    model.set_params(batch_size=89, shuffle=False, max_iter=4, random_state=1, nesterovs_momentum=False, **settings)
    _, recorder = recorded(model, X, targets)
    optimizer = fn.SGD(rate, momentum=0.9) if solver == "sgd" else fn.Adam(rate, epsilon_hat=True)
    net = recorder.before
    history = net.fit(
        X, targets, epochs=4, batch_size=89, shuffle=False, optimizer=optimizer, metrics=metrics, verbose=False
    )
    assert [*model.history_] == [*history]
    for name in history.keys() - {"seconds"}:
        np.testing.assert_allclose(model.history_[name], history[name], rtol=1e-10, err_msg=name)
    np.testing.assert_allclose(model.loss_curve_, history["cost"], rtol=1e-10)
    for name, array in net.parameters.items():
        np.testing.assert_allclose(model.network_.parameters[name], array, rtol=1e-9, atol=1e-12, err_msg=name)
    np.testing.assert_array_equal(model.predict(X), model.network_.predict(X))
    assert set(model.normalisations_) == net.parameters.keys() - {f"{a}{l}" for a in "Wb" for l in (1, 2, 3, 4)}


def test_first_weights_of_layers_are_as_they_say_and_of_the_random_state():
    layers = [fn.Dense(200, "relu", init="small")]
    first, same, other = (
        recorded(MLPRegressor(layers=layers, max_iter=1, random_state=seed), X, NUMBERS)[1].before.parameters["W1"]
        for seed in (0, 0, 1)
    )
    assert 0.009 < first.std() < 0.011
    assert np.array_equal(first, same)
    assert not np.array_equal(first, other)


def test_dropout_is_of_training_alone():
    settings = {"max_iter": 5, "random_state": 0, "hidden_layer_sizes": (40,)}
    plain, none = (MLPClassifier(dropout=rate, **settings).fit(X, y) for rate in (0.0, [0]))
    assert plain.loss_curve_ == none.loss_curve_
    some, same = (MLPClassifier(dropout=0.5, **settings).fit(X, y) for _ in range(2))
    assert some.loss_curve_ == same.loss_curve_ != plain.loss_curve_
    assert [type(layer).__name__ for layer in some.network_.layers] == ["Dense", "Dropout", "Dense"]
    plain.coefs_, plain.intercepts_ = some.coefs_, some.intercepts_
    np.testing.assert_array_equal(plain.predict_proba(X), some.predict_proba(X))
    nearly = MLPClassifier(dropout=1e-12, **settings).fit(X, y)  # which leaves nothing out
    np.testing.assert_allclose(nearly.loss_curve_[0], plain.loss_curve_[0], rtol=0.02)


@pytest.mark.parametrize("rate", [0.0, 0.5])
def test_what_dropout_leaves_out_is_of_the_random_state(rate):
    models = [MLPClassifier(dropout=rate, random_state=seed).partial_fit(X, y, classes=KINDS) for seed in (0, 1)]
    models[1].coefs_, models[1].intercepts_ = models[0].coefs_, models[0].intercepts_
    losses = [model.set_params(shuffle=False).partial_fit(X, y).loss_ for model in reversed(models)]
    assert (losses[0] == losses[1]) == (rate == 0)


@pytest.mark.parametrize("make", [copy.copy, copy.deepcopy])
def test_copies_share_no_normalisations(make):
    model = MLPClassifier(batch_norm=True, random_state=0, max_iter=3).fit(X, y)
    other, before = make(model), model.predict_proba(X)
    for _ in range(5):
        model.partial_fit(X, y)
    assert np.array_equal(other.predict_proba(X), before)
    assert not np.array_equal(model.predict_proba(X), before)


def test_batch_norm_stands_before_the_activation_and_begins_with_scikit_learns_weights():
    model, recorder = recorded(MLPClassifier((6, 5), "tanh", batch_norm=True, dropout=[0, 0.5], random_state=0), X, y)
    shown = "[Dense(6), BatchNorm(activation='tanh'), Dense(5), BatchNorm(activation='tanh'), Dropout(0.5), Dense(3, "
    assert re.sub(", l2=[^)]*", "", repr(model.network_.layers)).startswith(shown)
    plain = recorded(MLPClassifier((6, 5), "tanh", random_state=0, max_iter=1), X, y)[1].before
    np.testing.assert_array_equal(recorder.before.parameters["W2"], plain.parameters["W2"])


def test_dtype_is_that_of_x_where_it_is_given():
    settings = {"max_iter": 5, "random_state": 0}
    expected = MLPClassifier(**settings).fit(X.astype(np.float32), y)
    for given in (X, scipy.sparse.csr_array(X)):
        found = MLPClassifier(dtype="float32", **settings).fit(given, y)
        assert found.loss_curve_ == expected.loss_curve_
        assert {array.dtype for array in found.coefs_} == {np.dtype("float32")} == {found.predict_proba(given).dtype}
    np.testing.assert_array_equal(found.predict_proba(X), expected.predict_proba(X.astype(np.float32)))
    assert MLPClassifier(dtype="float64", **settings).fit(X.astype(np.float32), y).coefs_[0].dtype == np.float64
    with pytest.raises(ValueError, match="too large for dtype='float32'"):
        found.fit(X * 1e39, y)
    with pytest.raises(ValueError, match=r"the weights are float32, and dtype='float64'"):
        found.set_params(dtype="float64").partial_fit(X, y)


def test_threads_are_put_back():
    seen, before = [], numba.get_num_threads()

    def callback(epoch, history, network):
        seen.append(numba.get_num_threads())
        if epoch == 3:
            raise RuntimeError("enough")

    model = MLPClassifier(n_threads=1, callbacks=[callback], random_state=0)
    with pytest.raises(RuntimeError, match="enough"):
        model.fit(X, y)
    assert seen == [1, 1, 1]
    assert numba.get_num_threads() == before
    model.set_params(callbacks=None, max_iter=2).fit(X, y).predict(X)
    thread = threading.Thread(target=lambda: seen.append((model.predict(X), numba.get_num_threads())))
    thread.start()
    thread.join()
    assert seen[-1][1] == numba.get_num_threads() == before
    many = MLPClassifier(n_threads=10_000, max_iter=2, random_state=0).fit(X, y)
    assert many.loss_curve_ == model.loss_curve_


def test_schedules_of_scikit_learn_and_of_functions():
    settings = {"solver": "sgd", "max_iter": 6, "random_state": 0}
    expected = MLPRegressor(learning_rate_init=0.02, **settings).fit(X, NUMBERS)
    found = MLPRegressor(learning_rate=lambda step: 0.02, **settings).fit(X, NUMBERS)
    np.testing.assert_allclose(found.loss_curve_, expected.loss_curve_, rtol=1e-12)
    plateau = fn.schedules.reduce_on_plateau(0.1, factor=0.1, patience=1, monitor="validation_r2", mode="max")
    logger = fn.LearningRateLogger()
    settings |= {"early_stopping": True, "max_iter": 40, "n_iter_no_change": 50}
    found = MLPRegressor(learning_rate=plateau, callbacks=[logger], **settings).fit(X, NUMBERS)
    rates = found.history_["learning_rate"]
    assert rates[0] == 0.1
    assert rates[-1] < 0.1
    assert sorted(rates, reverse=True) == rates


# ---------------------------------------------------------------- callbacks, metrics and history


def test_history_without_further_keywords():
    model = MLPRegressor(max_iter=3, random_state=0).fit(X, NUMBERS)
    assert model.history_["cost"] == model.loss_curve_
    assert [*model.history_] == ["cost", "r2", "seconds"]
    model.partial_fit(X, NUMBERS)
    assert model.history_.epochs == 4


def test_callbacks_are_called_and_stop():
    model, recorder = recorded(MLPClassifier(max_iter=3, random_state=0), X, y)
    assert recorder.calls == ["start", 1, 2, 3, "end", "finish"]
    model.partial_fit(X, y)
    assert recorder.calls[6:] == ["start", 4, "finish"]
    model = MLPClassifier(callbacks=[lambda epoch, history, network: epoch == 7], random_state=0).fit(X, y)
    assert model.n_iter_ == 7 == model.history_.epochs


@pytest.mark.parametrize("settings", [{}, {"batch_norm": True}])
def test_networks_of_callbacks_predict_measure_and_are_saved(settings, tmp_path):
    path = tmp_path / "best.safetensors"
    keep = fn.ModelCheckpoint(path, monitor="cost")
    model, recorder = recorded(
        MLPClassifier(callbacks=[keep], max_iter=4, shuffle=False, batch_size=178, random_state=0, **settings), X, y
    )
    np.testing.assert_array_equal(fn.load(path).predict(X), model.predict(X))
    assert recorder.copies[-1].predict(X).tolist() == model.predict(X).tolist()
    if not settings:  # the loss of an epoch is that of the weights before it, its penalty included
        costs = [network.evaluate(X, y)["cost"] for network in recorder.copies]
        np.testing.assert_allclose(model.loss_curve_[1:], costs[:-1], rtol=1e-10)


@pytest.mark.parametrize("kind", ["sparse", "weighted", "both"])
def test_what_is_measured_on_held_out_samples(kind):
    """The cost is weighted as that of training is; three outputs are averaged, as in `loss_curve_`."""
    given = scipy.sparse.csr_array(X) if kind != "weighted" else X
    weights = None if kind == "sparse" else np.random.default_rng(0).uniform(0.1, 3, len(X))
    seen = []

    def measure(truth, outputs):
        seen.append((truth, outputs))
        return 0.0

    model = MLPRegressor(early_stopping=True, metrics=[measure], max_iter=3, random_state=0, alpha=0.0)
    model.fit(given, NUMBERS, sample_weight=weights)
    truth, outputs = seen[-1]
    rows = [int(np.flatnonzero((row == NUMBERS).all(axis=1))[0]) for row in truth]
    losses = ((truth - outputs) ** 2).mean(axis=1) / 2
    np.testing.assert_allclose(
        model.history_["validation_cost"][-1],
        np.average(losses, weights=None if weights is None else weights[rows]),
        rtol=1e-9,
    )
    assert model.history_["validation_measure"] == [0.0] * 3
    assert len(rows) == 18


def test_early_stopping_goes_back_to_the_best_epoch_with_its_normalisations():
    settings = {"batch_norm": True, "early_stopping": True, "n_iter_no_change": 3, "learning_rate_init": 0.05}
    model, recorder = recorded(MLPClassifier(random_state=0, **settings), X, y)
    best = int(np.argmax(model.validation_scores_))
    assert best < model.n_iter_ - 1
    assert_same(parameters(model.network_), parameters(recorder.copies[best]))
    stop = fn.EarlyStopping("validation_cost", patience=3)
    model, recorder = recorded(MLPClassifier(random_state=0, callbacks=[stop], **settings | {"tol": 0}), X, y)
    best = int(np.argmin(model.history_["validation_cost"]))
    assert_same(parameters(model.network_), parameters(recorder.copies[best]))


# ---------------------------------------------------------------- together


@pytest.mark.parametrize("settings", [{}, {"early_stopping": True}, {"warm_start": True}], ids=str)
@pytest.mark.parametrize("kind", [np.asarray, scipy.sparse.csr_array])
def test_all_of_them_together(kind, settings):
    model = MLPClassifier(**EVERYTHING | settings)
    weights = np.random.default_rng(0).uniform(0.5, 2, len(X))
    model.fit(kind(X), y, sample_weight=weights)
    assert model.history_.epochs == 8
    assert model.score(X, y) > 0.6
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    same = clone(model).fit(kind(X), y, sample_weight=weights)
    assert same.loss_curve_ == model.loss_curve_
    assert same.get_params().keys() == model.get_params().keys()
    if "warm_start" in settings:
        before = parameters(model.network_)
        model.set_params(learning_rate=(1e-9).__mul__, max_iter=1).fit(X, y)
        for name in ("W1", "gamma1"):
            np.testing.assert_allclose(model.network_.parameters[name], before[name], atol=1e-6)
        assert model.history_.epochs == 9


@pytest.mark.parametrize("rate", ["constant", fn.schedules.step(0.01, every=2)])
def test_copies_go_on_with_partial_fit_to_the_same_bits(rate):
    settings = EVERYTHING | {"learning_rate": rate, "class_weight": None, "metrics": None}
    model = MLPClassifier(**settings).partial_fit(X, y, classes=KINDS)
    for again in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        for _ in range(3):
            again.partial_fit(X, y)
    for _ in range(3):
        model.partial_fit(X, y)
    assert_same(parameters(model.network_), parameters(again.network_))


def test_layers_with_lbfgs_and_frozen_ones():
    layers = [fn.Dense(8, "gelu"), fn.Dense(6, "elu", trainable=False)]
    model = MLPClassifier(layers=layers, solver="lbfgs", random_state=0).fit(X, y)
    assert model.score(X, y) == 1
    np.testing.assert_allclose(model.network_.evaluate(X, y)["cost"], model.loss_, rtol=1e-10)
    first = recorded(MLPClassifier(layers=layers, random_state=0, max_iter=1), X, y)[1].before
    np.testing.assert_array_equal(model.coefs_[1].T, first.parameters["W2"])
    for solver in ("adam", "sgd"):
        model = MLPClassifier(layers=layers, solver=solver, random_state=0, max_iter=5).fit(X, y)
        np.testing.assert_array_equal(model.coefs_[1].T, first.parameters["W2"])
        assert not np.allclose(model.coefs_[0].T, first.parameters["W1"])


def test_penalties_of_the_layers_own():
    layers = [fn.Dense(8, "tanh", l1=0.01, l2=0.1)]
    model = MLPClassifier(layers=layers, alpha=0, batch_size=178, shuffle=False, random_state=0, max_iter=2).fit(X, y)
    net = model.network_
    cost = model.set_params(max_iter=1, warm_start=True).fit(X, y).loss_
    np.testing.assert_allclose(cost, net.evaluate(X, y)["cost"], rtol=1e-10)


def test_warm_start_may_freeze_layers_and_not_change_them():
    model = MLPClassifier(layers=[fn.Dense(8, "relu")], warm_start=True, max_iter=3, random_state=0).fit(X, y)
    before = parameters(model.network_)
    model.set_params(layers=[fn.Dense(8, "relu", trainable=False), fn.Dropout(0.1)]).fit(X, y)
    np.testing.assert_array_equal(model.coefs_[0].T, before["W1"])
    assert not np.array_equal(model.coefs_[1].T, before["W2"])
    predicted = model.predict_proba(X)
    for layers in ([fn.Dense(8), fn.LayerNorm()], [fn.Dense(8), fn.Dense(2)], [fn.Dense(7, "relu")]):
        with pytest.raises(ValueError, match="warm_start=False, or a new"):
            model.set_params(layers=layers).fit(X, y)
        np.testing.assert_array_equal(model.predict_proba(X), predicted)


# ---------------------------------------------------------------- network_


def test_network_is_a_network_of_its_own(tmp_path):
    model = MLPClassifier(**EVERYTHING).fit(X, y)
    net = model.network_
    assert net.labels.tolist() == sorted(KINDS)
    np.testing.assert_array_equal(net.predict(X), model.predict(X))
    np.testing.assert_array_equal(net.predict_proba(X), model.predict_proba(X))
    net.save(tmp_path / "wine.safetensors")
    assert fn.load(tmp_path / "wine.safetensors").predict(X).tolist() == model.predict(X).tolist()
    net.parameters["W1"][:] = 0
    assert not np.array_equal(net.predict_proba(X), model.predict_proba(X))
    np.testing.assert_array_equal(fn.from_sklearn(model).predict_proba(X), model.predict_proba(X))
    assert not hasattr(MLPClassifier(), "network_")
    assert not hasattr(MLPRegressor(loss="poisson", max_iter=2).fit(X, NUMBERS[:, 0] ** 2), "network_")
    assert MLPClassifier(max_iter=2).fit(X, NUMBERS > 0).network_.predict(X).shape == (178, 3)
    assert MLPClassifier(max_iter=2).fit(X, y == "barolo").network_.predict(X).dtype == bool


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"dropout": 1.0}, "'dropout' parameter"),
        ({"dropout": [0.1, 0.2]}, "2 rates for 1 hidden layers"),
        ({"dropout": [1.5]}, "rate=1.5"),
        ({"batch_norm": 3}, "'batch_norm' parameter"),
        ({"batch_norm": True, "batch_size": 1}, "batch_size=1 gives BatchNorm no variance"),
        ({"layers": fn.Dense(3)}, "'layers' parameter"),
        ({"layers": [3]}, "layers: layer 1 is 3.*output layer is made from y"),
        ({"layers": [fn.Dense(3, "softmax")]}, "output layer is made from y"),
        ({"layers": [fn.MaxPool2D(2)]}, "images"),
        ({"layers": [fn.Dense(3, l1=0.1)]}, "alpha=0"),
        ({"layers": [fn.Dense(3)], "dropout": 0.5}, "dropout=0.5 and layers both"),
        ({"layers": [fn.Dense(3)], "hidden_layer_sizes": (3,)}, "hidden_layer_sizes="),
        ({"layers": [fn.Dense(3)], "activation": "tanh"}, "activation="),
        ({"layers": [fn.Dense(3)], "batch_norm": True}, "batch_norm="),
        ({"learning_rate": "cosine"}, "'learning_rate' parameter"),
        ({"learning_rate": lambda step: -1.0}, "learning rate=-1.0"),
        ({"learning_rate": fn.schedules.reduce_on_plateau(0.1)}, "validation_cost"),
        ({"callbacks": [3]}, "cannot be called"),
        ({"callbacks": [fn.EarlyStopping()]}, "validation_cost"),
        ({"metrics": ["recal"]}, "'recal' is not known"),
        ({"metrics": ["r2"]}, "does not fit"),
        ({"metrics": [lambda truth, outputs: outputs]}, "returns an array"),
        ({"dtype": "float16"}, "'dtype' parameter"),
        ({"device": "gpu"}, "'device' parameter"),
        ({"n_threads": 0}, "'n_threads' parameter"),
        ({"class_weight": "even"}, "'class_weight' parameter"),
        ({"class_weight": {"chianti": 2}}, "'chianti'"),
        ({"class_weight": {"barolo": -1}}, "-1"),
        ({"solver": "lbfgs", "dropout": 0.1}, "lbfgs.*Dropout"),
        ({"solver": "lbfgs", "batch_norm": True}, "lbfgs.*normalisation"),
        ({"solver": "lbfgs", "layers": [fn.Dense(3), fn.LayerNorm()]}, "lbfgs.*normalisation"),
        ({"solver": "lbfgs", "callbacks": [print]}, "no epochs: leave callbacks out"),
        ({"solver": "lbfgs", "metrics": ["f1"]}, "no epochs: leave metrics out"),
        ({"solver": "lbfgs", "learning_rate": fn.schedules.constant(0.1)}, "no epochs: leave learning_rate out"),
        ({"solver": "lbfgs", "dtype": "float32"}, "lbfgs.*float64"),
    ],
    ids=names,
)
def test_what_does_not_go_together_is_refused_and_changes_nothing(settings, message):
    model = MLPClassifier(max_iter=3, random_state=0).fit(X, y == "barolo")
    predicted, losses, state = model.predict(X), list(model.loss_curve_), set(vars(model))
    with pytest.raises((ValueError, TypeError), match=message):
        model.set_params(**settings).fit(X[:, ::-1], y)
    model.set_params(**{name: getattr(MLPClassifier(), name) for name in settings})
    np.testing.assert_array_equal(model.predict(X), predicted)
    assert model.loss_curve_ == losses
    assert set(vars(model)) == state


@pytest.mark.parametrize(
    "settings",
    [{"layers": []}, {"dropout": 0.1}, {"batch_norm": True}, {"metrics": ["r2"]}, {"callbacks": [print]},
     {"device": "cuda"}, {"learning_rate": abs}],
    ids=names,
)  # fmt: skip
def test_a_poisson_loss_has_none_of_what_scikit_learn_has_not(settings):
    with pytest.raises(ValueError, match=r"loss='poisson' is trained by scikit-learn's own code"):
        MLPRegressor("poisson", **settings).fit(X, NUMBERS[:, 0] ** 2)


def test_class_weights_without_classes_are_refused():
    with pytest.raises(ValueError, match="partial_fit sees some"):
        MLPClassifier(class_weight="balanced").partial_fit(X, y, classes=KINDS)
    with pytest.raises(ValueError, match="several answers"):
        MLPClassifier(class_weight="balanced").fit(X, NUMBERS > 0)
    with pytest.raises(ValueError, match=r"cosine.* partial_fit does not say"):
        MLPClassifier(learning_rate=fn.schedules.cosine(0.1)).partial_fit(X, y, classes=KINDS)


def test_a_gpu_that_is_not_there_is_refused():
    try:
        fn.Network([fn.Dense(1)], device="cuda")
    except RuntimeError:
        model = MLPClassifier(max_iter=2, random_state=0).fit(X, y)
        before = model.predict(X)
        with pytest.raises(RuntimeError, match="device='cuda' cannot be used"):
            model.set_params(device="cuda").fit(X, y)
        assert np.array_equal(model.set_params(device="cpu").predict(X), before)
    else:
        model = MLPClassifier(**EVERYTHING | {"device": "cuda"}).fit(X, y)
        cpu = MLPClassifier(**EVERYTHING).fit(X, y)
        np.testing.assert_allclose(model.loss_curve_, cpu.loss_curve_, rtol=1e-3)
