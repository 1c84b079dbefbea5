"""Embeddings: rows of W by number, and gradients of those that occur alone."""

import copy

import numba
import numpy as np
import pytest

import fastnet as fn

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("units", [1, 16, 37])
def test_outputs_and_gradients_are_those_of_pytorch(torch, units, dtype, threads):
    m, t, vocabulary = 50, 7, 11
    net = fn.Network([fn.Embedding(vocabulary, units), fn.Dense(3, "softmax")], dtype=dtype, seed=units).build((t,))
    X, y = RNG.integers(0, vocabulary - 1, (m, t)), RNG.integers(0, 3, (m, t))
    W, V, b = (torch.tensor(net.parameters[name].astype(np.float64), requires_grad=True) for name in ("W1", "W2", "b2"))
    logits = torch.nn.functional.embedding(torch.tensor(X), W) @ V.T + b
    torch.nn.functional.cross_entropy(logits.reshape(-1, 3), torch.tensor(y).ravel()).backward()
    atol = 1e-12 if dtype == "float64" else 1e-6
    np.testing.assert_allclose(net.outputs(X), torch.softmax(logits, -1).detach().numpy(), atol=atol)
    gradients = net.gradients(X, y)
    for name, tensor in (("W1", W), ("W2", V), ("b2", b)):
        np.testing.assert_allclose(gradients[name], tensor.grad.numpy(), atol=atol)
    assert not gradients["W1"][-1].any()


@pytest.mark.parametrize("optimizer", [fn.SGD(0.5), fn.Adam(0.1, clip_norm=1.0)], ids=repr)
def test_only_rows_that_occur_are_changed(optimizer):
    net = fn.Network([fn.Embedding(9, 5), fn.LSTM(4), fn.Dense(2, "softmax")]).build((6,))
    before, X = net.parameters["W1"].copy(), RNG.choice([1, 2, 7], (40, 6))
    net.fit(X, X[:, 2] > 1, epochs=2, batch_size=17, optimizer=optimizer, verbose=False)
    changed = (net.parameters["W1"] != before).any(axis=1)
    np.testing.assert_array_equal(np.flatnonzero(changed), [1, 2, 7])


def test_gradients_with_a_penalty_are_those_of_differences(threads):
    net = fn.Network([fn.Embedding(9, 5, l2=0.1, l1=0.01), fn.GRU(4), fn.Dense(2, "softmax")], dtype="float64")
    net.build((6,))
    assert fn.check_gradients(net, RNG.integers(0, 9, (33, 6)), RNG.integers(0, 2, 33), at_most=30) < 1e-6


def test_it_learns_which_word_came_first():
    X = RNG.integers(0, 20, (400, 5), np.uint8)
    net = fn.Network([fn.Embedding(20, 8), fn.GRU(16), fn.Dense(1, "sigmoid")])
    net.fit(X[:300], X[:300, 0] < 10, epochs=40, optimizer=fn.Adam(0.01), verbose=False)
    assert net.evaluate(X[300:], X[300:, 0] < 10)["accuracy"] > 0.85


def test_same_bits_on_any_number_of_threads():
    before, found = numba.get_num_threads(), []
    X, y = RNG.integers(0, 500, (100, 9)), RNG.integers(0, 4, (100, 9))
    layers = [fn.Embedding(500, 70), fn.GRU(33, return_sequences=True), fn.Dense(4, "softmax")]
    for n_threads in [*range(1, numba.config.NUMBA_NUM_THREADS + 1), 1]:
        numba.set_num_threads(n_threads)
        net = fn.Network(layers, seed=5)
        net.fit(X, y, epochs=2, batch_size=48, verbose=False)
        found.append(net.buffer.tobytes() + net.outputs(X).tobytes())
    numba.set_num_threads(before)
    assert len(set(found)) == 1


def test_bytes_files_copies_and_other_libraries(tmp_path, torch):
    onnxruntime = pytest.importorskip("onnxruntime")
    X, y = RNG.integers(0, 7, (60, 6), np.uint8), RNG.choice(["a", "b", "c"], (60, 6))
    net = fn.Network([fn.Embedding(7, 5), fn.GRU(5, return_sequences=True), fn.Dense(3, "softmax")], seed=1)
    net.fit(X, y, epochs=2, verbose=False)
    net.save(tmp_path / "net.safetensors")
    for twin in (copy.deepcopy(net), fn.load(tmp_path / "net.safetensors")):
        assert twin.layers == net.layers
        np.testing.assert_array_equal(twin.predict(X.astype(int)), net.predict(X))
    module = fn.to_torch(net)
    np.testing.assert_allclose(module(torch.tensor(X.astype(int))).detach().numpy(), net.outputs(X), atol=1e-6)
    again = fn.from_torch(module, input_shape=(6,))
    np.testing.assert_array_equal(again.outputs(X), net.outputs(X))
    net.to_onnx(tmp_path / "net.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "net.onnx")
    np.testing.assert_allclose(session.run(None, {"X": X.astype(np.float32)})[0], net.outputs(X), atol=1e-6)


@pytest.mark.parametrize("wrong", [-1, 9, 2.5, np.nan, 1e30])
def test_numbers_that_are_not_in_the_vocabulary(wrong):
    X, y = np.ones((4, 6)), np.zeros(4, int)
    net = fn.Network([fn.Embedding(9, 5), fn.LSTM(4), fn.Dense(2, "softmax")])
    broken = X.copy()
    broken[2, 3] = wrong
    message = r"in row 2, step 3: Embedding\(9, 5\) takes whole numbers from 0 to 8|NaN"
    with pytest.raises(ValueError, match=message):
        net.fit(broken, y, verbose=False)
    assert net.input_shape is None
    net.fit(X, y, epochs=1, verbose=False)
    for call in (
        net.predict,
        lambda X: net.evaluate(X, y),
        lambda X: net.partial_fit(X, y),
        lambda X: net.gradients(X, y),
    ):
        with pytest.raises(ValueError, match=message):
            call(broken)
    with pytest.raises(ValueError, match=message):
        net.fit(X, y, validation_data=(broken, y), verbose=False)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: fn.Embedding(0, 4), "vocabulary=0 is below 1"),
        (lambda: fn.Embedding(1 << 25, 4), "vocabulary=33554432 is above 16777216"),
        (
            lambda: fn.Network([fn.Dense(3), fn.Embedding(5, 4), fn.Dense(1)]),
            "layer 2 is Embedding: it can only be the first",
        ),
        (lambda: fn.Network([fn.Embedding(5, 4), fn.Dense(1)]).build((6, 2)), r"sequences of whole numbers \(m, t\)"),
    ],
)
def test_settings_that_cannot_be(make, message):
    with pytest.raises(ValueError, match=message):
        make()
