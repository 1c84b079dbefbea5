"""Networks taken over from scikit-learn and PyTorch predict what they did there."""

import doctest
import pickle
import sys

import numpy as np
import pytest
from drawn import as_trained

import fastnet as fn
from fastnet.layers.activations import ACTIVATIONS

RNG = np.random.default_rng(0)
X = RNG.standard_normal((50, 7))


@pytest.fixture
def perceptrons():
    pytest.importorskip("sklearn")
    from sklearn import neural_network

    return neural_network


@pytest.mark.parametrize(
    ("name", "package"),
    [("from_sklearn", "sklearn"), ("from_torch", "torch"), ("to_torch", "torch"), ("from_onnx", "onnx")],
)
def test_examples(name, package):
    """Of the docstrings, where there is what they import."""
    pytest.importorskip(package)
    function = getattr(fn, name)
    (found,) = doctest.DocTestFinder(recurse=False).find(function, name, module=sys.modules[function.__module__])
    assert found.examples
    assert doctest.DocTestRunner().run(found).failed == 0


def fitted(kind, y, **settings):
    return kind(hidden_layer_sizes=(9, 5), max_iter=400, tol=1e-3, random_state=0, **settings).fit(X, y)


@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
@pytest.mark.parametrize("labels", [["no", "yes"], [3, 5, 9]])
def test_a_classifier_of_scikit_learn(perceptrons, activation, labels):
    model = fitted(perceptrons.MLPClassifier, RNG.choice(labels, 50), activation=activation)
    net = fn.from_sklearn(model)
    assert net.predict(X).tolist() == model.predict(X).tolist()
    expected = model.predict_proba(X)
    np.testing.assert_allclose(net.predict_proba(X), expected[:, 1] if len(labels) == 2 else expected, atol=1e-12)
    assert net.dtype == np.float64


@pytest.mark.parametrize("n_outputs", [1, 3])
def test_numbers_and_several_answers_of_scikit_learn(perceptrons, n_outputs):
    y = RNG.standard_normal((50, n_outputs)).squeeze()
    model = fitted(perceptrons.MLPRegressor, y)
    np.testing.assert_allclose(fn.from_sklearn(model).predict(X), model.predict(X), atol=1e-12)
    if n_outputs > 1:
        model = fitted(perceptrons.MLPClassifier, y > 0)
        assert fn.from_sklearn(model).predict(X).tolist() == model.predict(X).tolist()


def test_the_penalty_is_that_of_a_mini_batch(perceptrons):
    """A full batch costs what scikit-learn says it did, before its last step: the last steps hardly change it."""
    model = perceptrons.MLPClassifier(alpha=0.5, max_iter=600, tol=0, n_iter_no_change=600, random_state=0)
    y = (X[:, 0] > 0).astype(int)
    net = fn.from_sklearn(model.fit(X, y))
    assert net.layers[0].l2 == 0.5 / 50
    assert net.evaluate(X, y)["cost"] == pytest.approx(model.loss_, rel=1e-3)
    assert fn.from_sklearn(fitted(perceptrons.MLPClassifier, y, solver="lbfgs")).layers[0].l2 == 0


def test_what_is_no_model_of_scikit_learn(perceptrons):
    with pytest.raises(TypeError, match="dict is no MLPClassifier"):
        fn.from_sklearn({})
    with pytest.raises(ValueError, match="not fitted"):
        fn.from_sklearn(perceptrons.MLPClassifier())
    with pytest.raises(ValueError, match="poisson"):
        fn.from_sklearn(fitted(perceptrons.MLPRegressor, RNG.poisson(2, 50), loss="poisson"))


def random_sequential(torch, rng):
    nn = torch.nn
    activations = [
        nn.ReLU, nn.Sigmoid, nn.Tanh, nn.SiLU, nn.GELU, nn.Softplus,
        nn.Hardsigmoid, nn.Hardswish, nn.Identity,
    ]  # fmt: skip
    n, parts = 7, []
    for _ in range(rng.integers(0, 4)):
        m = int(rng.integers(1, 20))
        parts.append(nn.Linear(n, m, bias=bool(rng.random() < 0.8)))
        kind = rng.integers(0, 4)
        parts += [nn.BatchNorm1d(m, eps=1e-3)] * int(kind == 1) + [nn.LayerNorm(m, elementwise_affine=False)] * int(
            kind == 2
        )
        chosen = activations[rng.integers(0, len(activations))]
        usual = [nn.LeakyReLU, nn.ELU]  # all that a normalisation can have of these
        parts.append(usual[rng.integers(0, 2)]() if kind in (1, 2) and rng.random() < 0.3 else chosen())
        parts += [nn.Dropout(0.2)] * int(rng.integers(0, 2))
        if kind == 3:
            parts += [nn.Linear(m, m), rng.choice([nn.LeakyReLU(0.2), nn.ELU(0.7)])]
        n = m
    model = nn.Sequential(nn.Flatten(), nn.Sequential(*parts), nn.Linear(n, 3)).double()
    model(torch.tensor(RNG.standard_normal((100, 7))))  # so that normalisations have seen something
    return model.eval()


@pytest.mark.parametrize("seed", range(30))
def test_sequentials_of_pytorch(torch, seed):
    torch.manual_seed(seed)
    model = random_sequential(torch, np.random.default_rng(seed))
    with torch.no_grad():
        expected = model(torch.tensor(X))
    np.testing.assert_allclose(fn.from_torch(model).predict(X), expected.numpy(), rtol=1e-9, atol=1e-12)
    found = fn.from_torch(model, output="softmax").predict_proba(X)
    np.testing.assert_allclose(found, expected.softmax(dim=1).numpy(), rtol=1e-9, atol=1e-12)


def test_a_module_that_stands_in_several_places(torch):
    nn = torch.nn
    relu, linear = nn.ReLU(), nn.Linear(7, 7)
    model = nn.Sequential(linear, relu, linear, relu, nn.Linear(7, 2)).double()
    with torch.no_grad():
        expected = model(torch.tensor(X)).numpy()
    np.testing.assert_allclose(fn.from_torch(model).predict(X), expected, rtol=1e-9)


def hooked(nn):
    model = nn.Sequential(nn.Linear(2, 3))
    model[0].register_forward_hook(lambda module, inputs, outputs: 2 * outputs)
    return model


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda nn: nn.Linear(2, 3), TypeError, "Linear is no torch.nn.Sequential"),
        (lambda nn: nn.Sequential(nn.Linear(2, 3), nn.Bilinear(3, 3, 3)), ValueError, "module 1, Bilinear.*no layer"),
        (lambda nn: nn.Sequential(nn.Linear(2, 3), nn.GELU("tanh")), ValueError, "module 1, GELU.*no layer"),
        (lambda nn: nn.Sequential(nn.ReLU(), nn.Linear(2, 3)), ValueError, "module 0, ReLU.*directly"),
        (
            lambda nn: nn.Sequential(nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Tanh())),
            ValueError,
            "module 0.2, Tanh.*directly",
        ),
        (
            lambda nn: nn.Sequential(nn.Linear(2, 3), nn.LayerNorm(3), nn.LeakyReLU(0.2)),
            ValueError,
            "module 2, LeakyReLU.*slope 0.01",
        ),
        (hooked, ValueError, "module 0, Linear.*hooks"),
        (lambda nn: nn.Sequential(nn.Linear(2, 3).half()), ValueError, "module 0, Linear.*call .float"),
        (lambda nn: nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 2).double()), ValueError, "float32 and float64"),
        (lambda nn: nn.Sequential(nn.Linear(2, 3), nn.Softplus(threshold=1)), ValueError, "module 1, Softplus"),
        (lambda nn: nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)), ValueError, "end with Dense"),
        (lambda nn: nn.Sequential(nn.MaxPool2d(2), nn.Linear(3, 2)), ValueError, "module 0, MaxPool2d.*input_shape="),
        (lambda nn: nn.Sequential(nn.Linear(2, 3), nn.LogSoftmax(1)), ValueError, "module 1, LogSoftmax.*'softmax'"),
        (lambda nn: nn.Sequential(nn.Flatten()), ValueError, "no layers with parameters"),
    ],
)
def test_sequentials_that_are_refused(torch, make, error, message):
    with pytest.raises(error, match=message):
        fn.from_torch(make(torch.nn))


# ---------------------------------------------------------------- back to PyTorch


SETTINGS = {"leaky_relu": {"slope": 0.2}, "elu": {"alpha": 0.7}}
NETWORKS = {
    "activations": ([fn.Dense(6, name, **SETTINGS.get(name, {})) for name in ACTIVATIONS if name != "softmax"], (7,)),
    "norms": (
        [
            *[fn.Rescale(0.5, -0.25), fn.BatchNorm(momentum=0.3), fn.Dense(6), fn.LayerNorm("gelu", epsilon=1e-2)],
            *[fn.Dropout(0.3), fn.Dense(5, trainable=False), fn.BatchNorm("elu", trainable=False), fn.Dense(4)],
            fn.LayerNorm("leaky_relu"),
        ],
        (7,),
    ),
    "LayerNorm first": ([fn.LayerNorm("tanh")], (7,)),
    "images": ([fn.Rescale(1 / 255), fn.MaxPool2D((2, 3), stride=1), fn.Dropout(0.1), fn.MaxPool2D(2)], (7, 8, 3)),
    "one channel": ([fn.MaxPool2D(2), fn.MaxPool2D(2, stride=(1, 2))], (9, 8)),
    "signals": ([fn.MaxPool1D(3, stride=2), fn.Dense(5, "relu")], (12, 4)),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", NETWORKS)
def test_to_torch_and_back(torch, name, dtype):
    layers, shape = NETWORKS[name]
    net = as_trained(fn.Network([*layers, fn.Dense(3, "softmax")], dtype=dtype).build(shape), RNG)
    X = RNG.standard_normal((11, *shape)).astype(dtype)
    module = fn.to_torch(net)
    channels_first = np.moveaxis(X, -1, 1) if name in ("images", "signals") else X
    with torch.no_grad():
        found = module(torch.tensor(np.ascontiguousarray(channels_first))).numpy()
    assert found.dtype == dtype
    limit = 1e-12 if dtype == "float64" else 1e-6
    np.testing.assert_allclose(found, net.outputs(X), rtol=limit, atol=limit)
    again = fn.from_torch(module, input_shape=None if len(shape) == 1 else shape)
    assert repr(again) == repr(net)
    assert again.input_shape == net.input_shape
    for key, array in net.parameters.items():
        assert np.array_equal(again.parameters[key], array), key


def test_a_module_owns_its_parameters_and_can_be_pickled(torch):
    net = fn.Network([fn.Rescale(2.0), fn.Dense(1)]).build(2)
    module = fn.to_torch(net)
    net.parameters["W1"][...] = 7
    assert (module[1].weight != 7).all()
    assert list(module.state_dict()) == ["1.weight", "1.bias"]
    assert not module.training
    again = pickle.loads(pickle.dumps(module))
    with torch.no_grad():
        assert torch.equal(again(torch.ones(1, 2)), module(torch.ones(1, 2)))


def test_logarithms_of_probabilities(torch):
    module = torch.nn.Sequential(torch.nn.Linear(7, 3), torch.nn.LogSoftmax(1)).double()
    with torch.no_grad():
        expected = module(torch.tensor(X)).exp().numpy()
    np.testing.assert_allclose(fn.from_torch(module, output="softmax").predict_proba(X), expected, atol=1e-12)


def test_to_torch_refuses(torch):
    with pytest.raises(TypeError, match="dict is no fastnet"):
        fn.to_torch({})
    with pytest.raises(ValueError, match="no parameters yet"):
        fn.to_torch(fn.Network([fn.Dense(1)]))


def test_parameters_that_do_not_fit_take_no_memory(torch):
    nn = torch.nn
    with pytest.raises(ValueError, match=r"W2 is \(1000000, 1\)"):
        fn.from_torch(nn.Sequential(nn.Linear(1, 10**6), nn.Linear(1, 10**6), nn.Linear(1, 1)))
