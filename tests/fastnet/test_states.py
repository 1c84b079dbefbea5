"""Sequences that come piece by piece, of any length, and symbols that a network writes by itself."""

import pickle
import threading

import numpy as np
import pytest

import fastnet as fn

RNG = np.random.default_rng(0)
STACKED = [fn.LSTM(7, return_sequences=True), fn.Dense(5, "tanh"), fn.GRU(6, return_sequences=True), fn.Recurrent(4)]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("m", [1, 37, 1100])
def test_pieces_are_like_the_whole(dtype, m, threads):
    for layers in (STACKED, [*STACKED[:2], fn.GRU(6, return_sequences=True)]):
        net = fn.Network([*layers, fn.Dense(3, "softmax")], dtype=dtype).build((12, 2))
        X, whole_state = RNG.standard_normal((m, 12, 2)), net.first_state(m)
        whole = net.outputs(X, state=whole_state)
        np.testing.assert_array_equal(net.outputs(X), whole)
        state = net.first_state(m)
        pieces = [net.outputs(X[:, first:last], state=state) for first, last in ((0, 5), (5, 6), (6, 12))]
        found = np.concatenate(pieces, axis=1) if whole.ndim == 3 else pieces[-1]
        np.testing.assert_allclose(found, whole, rtol=1e-12 if dtype == "float64" else 1e-5)
        np.testing.assert_allclose(state, whole_state, rtol=1e-11 if dtype == "float64" else 1e-4, atol=1e-7)


def test_any_length(tmp_path):
    X, y = RNG.standard_normal((40, 6, 2)), RNG.integers(0, 3, (40, 6))
    net = fn.Network([fn.GRU(6, return_sequences=True, bidirectional=True), fn.Dense(3, "softmax")], dtype="float64")
    net.fit(X, y, epochs=1, verbose=False)
    for t in (1, 5, 9, *range(10, 40)):
        longer = RNG.standard_normal((3, t, 2))
        twin = fn.Network(net.layers, dtype="float64").build((t, 2))
        twin.take_parameters(net)
        np.testing.assert_array_equal(net.outputs(longer), twin.outputs(longer))
        assert net.predict(longer).shape == (3, t)
        assert net.predict_proba(longer).shape == (3, t, 3)
    before = net.outputs(longer)
    net.fit(X, y, epochs=1, verbose=False)
    assert (net.outputs(longer) != before).all()
    again = pickle.loads(pickle.dumps(net))
    np.testing.assert_array_equal(again.outputs(longer), net.outputs(longer))
    net.build((6, 2))
    assert (net.outputs(longer) != again.outputs(longer)).all()
    with pytest.raises(ValueError, match=r"samples of \(6, 3\)"):
        net.predict(np.zeros((2, 6, 3)))
    broken = longer.copy()
    broken[1, 3, 0] = np.nan
    with pytest.raises(ValueError, match="row 1"):
        net.predict(broken)
    features = fn.Network([fn.Dense(12), fn.Reshape((4, 3)), fn.GRU(6), fn.Dense(3)]).build(5)
    with pytest.raises(ValueError, match="X has 6 features a sample"):
        features.predict(np.zeros((2, 6)))
    flat = fn.Network([fn.GRU(6, return_sequences=True), fn.Flatten(), fn.Dense(3)]).build((6, 2))
    with pytest.raises(ValueError, match="X has sequences of 5 steps, and this network was built for 6, on which"):
        flat.predict(X[:, :5])


def test_lengths_while_another_thread_trains():
    X, y, errors = RNG.standard_normal((40, 6, 2)), RNG.integers(0, 3, 40), []
    net = fn.Network([fn.LSTM(6), fn.Dense(3, "softmax")]).build((6, 2))

    def predict():
        try:
            for t in range(1, 60):
                assert np.isfinite(net.outputs(RNG.standard_normal((2, t % 7 + 1, 2)))).all()
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=predict) for _ in range(2)]
    for thread in threads:
        thread.start()
    net.fit(X, y, epochs=20, verbose=False)
    for thread in threads:
        thread.join()
    assert not errors


def test_states_that_cannot_be():
    net = fn.Network([fn.LSTM(6), fn.Dense(3, "softmax")])
    with pytest.raises(ValueError, match="no parameters yet"):
        net.first_state()
    net.build((6, 2))
    X = np.zeros((3, 6, 2))
    assert net.first_state(3).shape == (3, 12)
    for state in (np.zeros((3, 12)), np.zeros((2, 12), np.float32), np.zeros((12, 3), np.float32).T, [0] * 12):
        with pytest.raises(
            ValueError, match=r"state is .*: for 3 sequences give what first_state\(3\) makes, \(3, 12\)"
        ):
            net.predict(X, state=state)
    with pytest.raises(ValueError, match="of float32, which is not contiguous or cannot be written to: "):
        net.predict(X, state=np.zeros((12, 3), np.float32).T)
    with pytest.raises(ValueError, match="is for networks with recurrent layers"):
        fn.Network([fn.Dense(3)]).build(4).predict(np.zeros((3, 4)), state=np.zeros((3, 4)))
    for layers, message in (
        ([fn.LSTM(6, bidirectional=True)], "LSTM.* sees steps that come later"),
        ([fn.Conv1D(3, 2), fn.LSTM(6)], "Conv1D.* sees steps that come later"),
        ([fn.Dense(3)], "it has no recurrent layers"),
    ):
        with pytest.raises(ValueError, match=f"cannot go on from a state: {message}"):
            fn.Network([*layers, fn.Dense(3)]).build((6, 2)).first_state()


def cycles(m=30, t=8, k=5):
    X = (np.arange(m)[:, np.newaxis] + np.arange(t)) % k
    return X, (X + 1) % k


@pytest.mark.parametrize("is_embedded", [False, True])
@pytest.mark.parametrize("each_step", [False, True])
def test_it_writes_what_it_has_learned(is_embedded, each_step):
    X, y = cycles()
    first = [fn.Embedding(5, 6)] if is_embedded else []
    net = fn.Network([*first, fn.GRU(12, return_sequences=each_step), fn.Dense(5, "softmax")])
    net.fit(
        X if is_embedded else np.eye(5)[X],
        y if each_step else y[:, -1],
        epochs=60,
        optimizer=fn.Adam(0.02),
        verbose=False,
    )
    assert net.generate([3, 4, 0], 12, temperature=0).tolist() == [1, 2, 3, 4, 0, 1, 2, 3, 4, 0, 1, 2]
    found = net.generate([[3, 4, 0], [0, 1, 2]], 3)
    assert found.tolist() == [[1, 2, 3], [3, 4, 0]]
    np.testing.assert_array_equal(found, net.generate([[3, 4, 0], [0, 1, 2]], 3))


def test_symbols_are_drawn_by_their_probabilities():
    net = fn.Network([fn.Embedding(4, 2), fn.GRU(3), fn.Dense(4, "softmax")]).build((1,))
    net.parameters["W3"][...] = 0
    P = np.array([0.1, 0.2, 0.3, 0.4])
    net.parameters["b3"][...] = np.log(P)
    for temperature in (1.0, 0.5):
        counts = np.bincount(net.generate(np.zeros((4000, 1), int), 1, temperature=temperature)[:, 0], minlength=4)
        expected = P ** (1 / temperature)
        np.testing.assert_allclose(counts / 4000, expected / expected.sum(), atol=0.03)


@pytest.mark.filterwarnings("error")
def test_a_temperature_of_almost_nothing_takes_the_likeliest():
    net = fn.Network([fn.Embedding(3, 4), fn.GRU(8, return_sequences=True), fn.Dense(3, "softmax")])
    X = np.arange(40).reshape(10, 4) % 3
    net.fit(X, (X + 1) % 3, epochs=1, verbose=False)
    for temperature in (5e-324, 1e-308, 1e-300):
        assert net.generate([0], 8, temperature=temperature).tolist() == net.generate([0], 8, temperature=0).tolist()


def test_sequences_of_several_lengths_say_what_to_do():
    X = [np.zeros((4, 3)), np.zeros((5, 3))]
    net = fn.Network([fn.GRU(4), fn.Dense(2, "softmax")]).build((5, 3))
    for call in (
        lambda: net.fit(X, [0, 1]),
        lambda: net.predict(X),
        lambda: net.outputs([[[1, 2, 3]], [[1, 2, 3]] * 2]),
    ):
        with pytest.raises(ValueError, match=r"X is no array.*shorter sequences are padded, and Masking leaves out"):
            call()


def test_no_sequences_go_on_from_no_state():
    net = fn.Network([fn.GRU(4), fn.Dense(2, "softmax")]).build((5, 3))
    with pytest.raises(ValueError, match=r"X is empty, of shape \(0, 5, 3\)"):
        net.predict(np.zeros((0, 5, 3)), state=net.first_state())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"start": [5]}, "start holds 5: this network knows the symbols 0 to 4"),
        ({"start": [-1]}, "give whole numbers from 0 on"),
        ({"start": [1.5]}, "give whole numbers from 0 on"),
        ({"start": []}, "at least one"),
        ({"start": "abc"}, "start='abc' is text: give the numbers of its symbols"),
        ({"length": 0}, "length=0 is below 1"),
        ({"temperature": -1}, "temperature=-1"),
        ({"seed": "x"}, "seed='x'"),
    ],
)
def test_what_cannot_be_generated(change, message):
    net = fn.Network([fn.Embedding(5, 2), fn.GRU(3), fn.Dense(5, "softmax")]).build((4,))
    given = {"start": [1], "length": 3, **change}
    with pytest.raises((ValueError, TypeError), match=message):
        net.generate(given.pop("start"), given.pop("length"), **given)


def test_networks_that_write_nothing():
    for layers, shape in (
        ([fn.Embedding(5, 2), fn.GRU(3), fn.Dense(4, "softmax")], (4,)),
        ([fn.Embedding(5, 2), fn.GRU(3), fn.Dense(5)], (4,)),
        ([fn.Dense(5, "softmax")], (5,)),
    ):
        with pytest.raises(ValueError, match="does not predict symbols like those it takes"):
            fn.Network(layers).build(shape).generate([1], 3)
    X, y = cycles()
    net = fn.Network([fn.Embedding(5, 2), fn.GRU(3), fn.Dense(5, "softmax")])
    net.fit(X, np.array(list("abcde"))[y[:, -1]], epochs=1, verbose=False)
    with pytest.raises(ValueError, match="the labels are not 0 to 4"):
        net.generate([1], 3)
