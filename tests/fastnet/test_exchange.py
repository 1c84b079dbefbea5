"""Networks taken over from scikit-learn and PyTorch predict what they did there."""

import doctest
import importlib

import numpy as np
import pytest

import fastnet as fn

MODULE = importlib.import_module("fastnet.exchange")
RNG = np.random.default_rng(0)
X = RNG.standard_normal((50, 7))


@pytest.fixture
def perceptrons():
    pytest.importorskip("sklearn")
    from sklearn import neural_network

    return neural_network


@pytest.mark.parametrize(("name", "package"), [("from_sklearn", "sklearn"), ("from_torch", "torch")])
def test_examples(name, package):
    """Of the docstrings, where there is what they import."""
    pytest.importorskip(package)
    (found,) = doctest.DocTestFinder(recurse=False).find(getattr(MODULE, name), name, module=MODULE)
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
        (lambda nn: nn.Sequential(nn.LayerNorm(3), nn.Linear(3, 2)), ValueError, "begin with Linear"),
    ],
)
def test_sequentials_that_are_refused(torch, make, error, message):
    with pytest.raises(error, match=message):
        fn.from_torch(make(torch.nn))
