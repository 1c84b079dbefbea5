"""What the compiled program promises: one compilation a dtype, no allocation, the same bits on any threads."""

import numpy as np
import pytest
from fastnet_kernels import codes
from fastnet_kernels.cpu.codegen.processor import TARGET, VECTOR_BYTES

import fastnet as fn
from fastnet.execution import components
from fastnet.execution.components import has_split_tail
from fastnet.execution.cpu import threads as sharing
from fastnet.execution.cpu.plan import make_plan
from fastnet.execution.cpu.strategy import choose_strategy, is_cut_for_threads
from fastnet.execution.device import Updates
from fastnet.execution.graph import Graph

ARCHITECTURES = [
    [fn.Dense(1, "sigmoid")],
    [fn.Dense(4, "tanh"), fn.Dense(1, "sigmoid")],
    [fn.Dense(3, "softmax")],
    [fn.Dense(20, "relu"), fn.Dense(7, "relu"), fn.Dense(5, "relu"), fn.Dense(1, "sigmoid")],
    [fn.Dense(33, "leaky_relu", slope=0.2), fn.Dense(10, "softmax")],
    [fn.Dense(1)],
    [fn.Dense(64, "sigmoid"), fn.Dense(2, "linear")],
    [fn.Rescale(0.5, 1), fn.Dense(16, "relu"), fn.Dense(2, "tanh")],
    [fn.Dense(15, "linear"), fn.Dense(17, "tanh"), fn.Dense(1, "relu")],
    [
        fn.Dense(128, "relu"),
        fn.Dense(128, "relu"),
        fn.Dense(128, "relu"),
        fn.Dense(128, "relu"),
        fn.Dense(4, "softmax"),
    ],
]


def samples(layers, m, n, rng):
    X = rng.standard_normal((m, n))
    units, activation = layers[-1].units, layers[-1].activation
    if activation == "sigmoid":
        return X, np.arange(m) % 2
    if activation == "softmax":
        return X, np.arange(m) % units
    return X, rng.random((m, units))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_ten_architectures_compile_once(dtype):
    from fastnet_kernels.cpu.program.run import run

    rng = np.random.default_rng(0)
    fn.Network([fn.Dense(1)], dtype=dtype).device.prepare()
    before = list(run.signatures)
    for layers in ARCHITECTURES:
        X, y = samples(layers, 70, 12, rng)
        for given in (X, (X * 20 + 100).astype(np.uint8)):
            net = fn.Network(layers, dtype=dtype)
            net.fit(
                given, y, epochs=2, batch_size=32, optimizer=fn.SGD(1e-5), validation_data=(given, y), verbose=False
            )
            net.fit(given, y, epochs=1, batch_size=None, optimizer=fn.SGD(1e-5), verbose=False)
            net.predict(given)
            net.gradients(given, y)
    assert list(run.signatures) == before
    assert len(before) <= 2, "one for each dtype"


ALL_KINDS = [
    fn.Dense(40, l1=1e-4, l2=1e-4),
    fn.BatchNorm("gelu"),
    fn.Dropout(0.2),
    fn.Dense(20),
    fn.LayerNorm("silu"),
    fn.Dense(3, "softmax"),
]


@pytest.mark.parametrize("optimizer", [fn.SGD(1e-3), fn.AdamW(1e-3, clip_norm=1.0, clip_value=0.1)], ids=repr)
@pytest.mark.parametrize("layers", [*ARCHITECTURES[3:5], ARCHITECTURES[7], ALL_KINDS], ids=repr)
def test_training_allocates_nothing(layers, optimizer, threads):
    from numba.core.runtime import _nrt_python, rtsys

    rng = np.random.default_rng(0)
    X, y = samples(layers, 300, 40, rng)
    net = fn.Network(layers).build(40)
    net.task = net.task.learn(y)
    net.device.prepare(codes.COMPONENTS)
    batches = net.batches(X, y, 32)
    batches.order, batches.weights = rng.permutation(300), np.ones(300, np.float32)
    states = tuple(np.zeros_like(net.buffer) for _ in range(2))
    costs, scores = np.zeros((2, batches.steps))
    updates = Updates(optimizer.settings(), np.full(batches.steps, 1e-3), states)

    def allocations(n_steps):
        before = rtsys.get_allocation_stats()
        net.run(codes.TRAIN, batches, 0, n_steps, costs=costs, scores=scores, updates=updates)
        return rtsys.get_allocation_stats().alloc - before.alloc

    net.run(codes.TRAIN, batches, 0, 1, costs=costs, scores=scores, updates=updates)
    _nrt_python.memsys_enable_stats()
    try:
        # Numba makes one small record for each array that it is handed from Python: as many for ten steps as for none.
        assert allocations(0) == allocations(1) == allocations(batches.steps)
    finally:
        _nrt_python.memsys_disable_stats()
    assert costs.all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("layers", ARCHITECTURES, ids=repr)
def test_same_seed_same_bits(layers, dtype):
    import numba

    rng = np.random.default_rng(3)
    X, y = samples(layers, 333, 50, rng)
    found = []
    before = numba.get_num_threads()
    for n_threads in [*range(1, numba.config.NUMBA_NUM_THREADS + 1), 1]:
        numba.set_num_threads(n_threads)
        net = fn.Network(layers, seed=5, dtype=dtype)
        history = net.fit(X, y, epochs=3, batch_size=200, optimizer=fn.SGD(0.01), verbose=False)
        found.append((history["cost"], net.buffer, net.predict(X)))
    numba.set_num_threads(before)
    for other in found[1:]:
        for a, b in zip(found[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("has_amx", [False, True])
def test_what_is_summed_together_does_not_depend_on_the_number_of_threads(has_amx):
    """A clipped gradient's norm and a penalty are sums over tasks: their order must be the same on any machine."""
    net = fn.Network([fn.Dense(1500, "relu"), fn.Dense(80, "relu"), fn.Dense(3, "softmax")]).build(900)
    graph, dtype = Graph.of(net.layers, (900,), net.loss_and_setting), np.dtype("float32")
    strategy = choose_strategy(graph.nodes, 128, dtype, TARGET, 32, has_amx=has_amx)
    plans = [make_plan(graph, 128, dtype, strategy, TARGET, panel=32, workers=n)[0] for n in (1, 2, 64)]
    assert all((plan.layers[:, codes.USES_AMX].any()) == has_amx for plan in plans)
    for plan in plans[1:]:
        np.testing.assert_array_equal(plan.tasks, plans[0].tasks)


def strategies(lanes):
    """Networks, features and mini-batches for every strategy that is chosen where a vector has so many lanes."""
    return {
        "online": ([fn.Dense(9, "relu"), fn.Dense(3, "softmax")], 40, 1),
        "one by one": ([fn.Dense(9, "relu"), fn.Dense(3, "softmax")], 40, (lanes - 1) // 3),
        "kept": ([fn.Dense(4, "tanh"), fn.Dense(1, "sigmoid")], 2, 300),
        "turned": ([fn.Dense(300, "relu"), fn.Dense(3, "softmax")], 130, 96),
        "vectors": ([fn.Dense(300, "relu"), fn.Dense(40, "relu"), fn.Dense(3, "softmax")], 260, 2 * lanes),
        "packed vectors": ([fn.Dense(513, "relu"), fn.Dense(70, "relu"), fn.Dense(3, "softmax")], 530, 2 * lanes - 1),
        "a few by themselves": ([fn.Dense(300, "relu"), fn.Dense(3, "softmax")], 130, 96 + max(1, lanes // 8)),
        "a few inputs more": ([fn.Dense(33, "relu"), fn.Dense(90, "relu"), fn.Dense(3, "softmax")], 130, 60),
        "as they lie": ([fn.Dense(20, "relu"), fn.Dense(5, "relu"), fn.Dense(1, "sigmoid")], 2000, 90),
        "in one pass": ([fn.Dense(1, "sigmoid")], 2000, 150),
    }


STRATEGIES = strategies(VECTOR_BYTES // 4)


def is_strategy(name, net, batch_size):
    """Whether a network's mini-batches of that size have the strategy."""
    found, plan = net.strategy(batch_size), net._contexts.take(batch_size, False).plan
    return {
        "online": plan.is_online,
        "one by one": found.layout == codes.SAMPLE_MAJOR,
        "kept": found.inputs == codes.PACKED_CACHED and found.wgrad[0] == codes.WGRAD_DOT,
        "turned": found.inputs == codes.PACKED and found.wgrad[0] == codes.WGRAD_GEMM,
        "vectors": found.block_rows == net.device.panel // 2,
        "packed vectors": found.block_rows == net.device.panel // 2 and any(found.packs_w),
        "a few by themselves": has_split_tail(plan, batch_size, TARGET, net.device.panel // 2),
        "a few inputs more": any(found.input_tails),
        "as they lie": found.inputs == codes.UNPACKED and found.wgrad[0] == codes.WGRAD_ROWS,
        "in one pass": found.wgrad[0] == codes.WGRAD_FUSED,
    }[name]


@pytest.mark.parametrize("lanes", [4, 8, 16])
@pytest.mark.parametrize("name", STRATEGIES)
def test_every_strategy_is_chosen_on_any_machine(name, lanes):
    layers, n, batch_size = strategies(lanes)[name]
    net = fn.Network(layers).build(n)
    net.device.panel = 2 * lanes
    net._contexts.take(batch_size, False)
    assert is_strategy(name, net, batch_size)


@pytest.mark.parametrize("as_bytes", [False, True], ids=["numbers", "bytes"])
@pytest.mark.parametrize("name", STRATEGIES)
def test_every_strategy_gives_the_same_bits_on_any_threads(name, as_bytes, monkeypatch):
    import numba

    from fastnet.execution.cpu.threads import Share

    monkeypatch.setattr(Share, "threads", lambda self, count: count())
    layers, n, batch_size = STRATEGIES[name]
    rng = np.random.default_rng(4)
    X, y = samples(layers, 2 * batch_size + 1, n, rng)
    if as_bytes:
        X, layers = (X * 40 + 100).clip(0, 255).astype(np.uint8), [fn.Rescale(1 / 255), *layers]
    found, before = [], numba.get_num_threads()
    for n_threads in range(1, numba.config.NUMBA_NUM_THREADS + 1):
        numba.set_num_threads(n_threads)
        net = fn.Network(layers, seed=5)
        net.fit(X, y, epochs=3, batch_size=batch_size, optimizer=fn.SGD(0.01), verbose=False)
        found.append(net.buffer)
    numba.set_num_threads(before)
    assert is_strategy(name, net, batch_size)
    for other in found[1:]:
        np.testing.assert_array_equal(found[0], other)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("as_bytes", [False, True], ids=["numbers", "bytes"])
@pytest.mark.parametrize(
    ("layers", "n"),
    [
        ([fn.Dense(1, "sigmoid")], 43),
        ([fn.Dense(10, "softmax")], 4),
        ([fn.Dense(31, "leaky_relu", slope=0.2), fn.Dense(3, "softmax")], 3),
        ([fn.Dense(3, "sigmoid"), fn.Dense(17, "relu"), fn.Dense(2, "tanh"), fn.Dense(1, "sigmoid")], 9),
        ([fn.Dense(2, "hard_sigmoid"), fn.Dense(3, "softmax")], 1000),
        ([fn.Dense(5, "tanh"), fn.Dense(3)], 6),
        ([fn.Dense(2, "sigmoid")], 33),
    ],
    ids=repr,
)
def test_online_steps_are_like_all_others(layers, n, as_bytes, dtype, monkeypatch):
    rng = np.random.default_rng(7)
    X, y = rng.standard_normal((50, n)), rng.integers(0, max(2, layers[-1].units), 50)
    if layers[-1].activation == "linear":
        y = rng.standard_normal((50, 3))
    elif layers[-1].units == 2:
        y = rng.random((50, 2))
    if as_bytes:
        X, layers = (X * 40 + 100).clip(0, 255).astype(np.uint8), [fn.Rescale(2 / 255, -1), *layers]
    found = []
    for most in (1 << 17, 0):
        loss = "squared_error" if y.ndim == 2 else None
        net = fn.Network(layers, loss=loss, seed=5, dtype=dtype)
        net.device.target = TARGET._replace(max_online_weights=most)
        history = net.fit(X, y, epochs=2, batch_size=1, optimizer=fn.SGD(0.01), verbose=False)
        assert net._contexts.take(1, False).plan.is_online == (most > 0)
        outputs = [net.outputs(X[i : i + 1])[0] for i in range(50)]
        found.append([net.buffer, history["cost"], history[net.task.metric], outputs])
    tolerance = 1e-5 if dtype == "float32" else 1e-12
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance)


def test_what_online_steps_leave_to_others():
    """Penalties, frozen layers, weights of samples, momentum and limits have an effect on steps of one sample, too."""
    X, y = np.random.default_rng(0).standard_normal((20, 6)), np.arange(20) % 2
    plain = {"optimizer": fn.SGD(0.1)}
    found = set()
    for hidden, options in (
        ({}, plain),
        ({"l2": 0.1}, plain),
        ({"trainable": False}, plain),
        ({}, {**plain, "sample_weight": np.linspace(0, 1, 20)}),
        ({}, {"optimizer": fn.SGD(0.1, momentum=0.5)}),
        ({}, {"optimizer": fn.SGD(0.1, clip_value=1e-3)}),
        ({}, {"optimizer": fn.SGD(0.1, clip_norm=1e-3)}),
        ({}, {"optimizer": fn.SGD(0.1, weight_decay=0.1)}),
    ):
        net = fn.Network([fn.Dense(5, "tanh", **hidden), fn.Dense(1, "sigmoid")], seed=1, dtype="float64")
        net.fit(X, y, epochs=1, batch_size=1, shuffle=False, verbose=False, **options)
        found.add(net.buffer.tobytes())
    assert len(found) == 8


@pytest.mark.parametrize("layers", [[fn.Dense(1, "sigmoid")], [fn.Dense(4, "relu"), fn.Dense(3, "softmax")]], ids=repr)
def test_an_online_step_whose_cost_is_not_finite_changes_nothing(layers):
    X, y = np.linspace(-1, 1, 40).reshape(10, 4), np.arange(10) % 2
    net = fn.Network(layers, seed=1).build(4)
    net.task = net.task.learn(y)
    batches, costs, scores = net.batches(X, y, 1), *np.zeros((2, 10))
    batches.samples = batches.samples.copy()
    batches.samples.view(np.float32)[3 * 4] = np.inf
    updates = Updates(fn.SGD(0.1).settings(), np.full(10, 0.1), (np.zeros(0, np.float32),) * 2)
    assert net.run(codes.TRAIN, batches, 0, 3, updates=updates, costs=costs, scores=scores) == 3
    before = net.buffer.copy()
    assert net.run(codes.TRAIN, batches, 3, 10, updates=updates, costs=costs, scores=scores) == 3
    assert not np.isfinite(costs[3])
    np.testing.assert_array_equal(net.buffer, before)


@pytest.mark.parametrize("penalty", ["l1", "l2"])
@pytest.mark.parametrize("optimizer", [fn.SGD(1e-3), fn.Adam(1e-3)], ids=repr)
def test_a_penalty_that_is_not_finite_ends_the_run(optimizer, penalty, threads):
    layers = [fn.Dense(5, "tanh", **{penalty: 1e38}), fn.Dense(1)]
    X, y = np.random.default_rng(0).standard_normal((40, 4)), np.zeros(40)
    net = fn.Network(layers, seed=1).build(4)
    net.parameters["W1"][0, 0] = 1e3
    batches, costs, scores = net.batches(X, y, 10), *np.zeros((2, 4))
    net.device.prepare({codes.OPTIMIZERS})
    before = net.buffer.copy()
    updates = Updates(optimizer.settings(), np.full(4, 1e-38), tuple(np.zeros((2, before.size), np.float32)))
    assert net.run(codes.TRAIN, batches, 1, 4, updates=updates, costs=costs, scores=scores) == 1
    assert costs[1] == np.inf
    net.buffer[:] = before
    with pytest.raises(fn.DivergenceError):
        net.fit(X, y, epochs=2, batch_size=10, optimizer=optimizer, verbose=False)
    np.testing.assert_array_equal(net.buffer, before)


def step_along(gradient, dtype, **options):
    """How a step of gradient descent at rate 1 changes W of one linear unit with such a gradient."""
    net = fn.Network([fn.Dense(1, init="zeros")], loss="absolute_error", dtype=dtype).build(len(gradient))
    batches, (costs, scores) = net.batches(np.array([gradient]), [-1.0]), np.zeros((2, 1))
    updates = Updates(fn.SGD(1.0, **options).settings(), np.ones(1), (np.zeros_like(net.buffer),) * 2)
    net.device.prepare({codes.OPTIMIZERS})
    assert net.run(codes.TRAIN, batches, 0, 1, updates=updates, costs=costs, scores=scores) == 1
    return -net.parameters["W1"][0]


@pytest.mark.parametrize(("dtype", "size"), [("float32", 1e30), ("float64", 1e200), ("float64", 1.0)])
def test_a_large_gradient_is_cut_to_its_norm(dtype, size):
    """Though the square of its norm is infinite."""
    found = step_along([3 * size, -4 * size, 0], dtype, clip_norm=10.0)
    np.testing.assert_allclose(found, [6, -8, 0], rtol=1e-5 if size > 1 else 1.0)


@pytest.mark.parametrize("name", STRATEGIES)
def test_mini_batches_of_other_sizes_before_do_not_change_a_bit(name):
    """A plan is kept, and serves smaller mini-batches: it sums as one made for these would."""
    layers, n, batch_size = STRATEGIES[name]
    X, y = samples(layers, batch_size, n, np.random.default_rng(5))
    few = max(1, batch_size * 2 // 3)
    found = []
    for before in ([], [batch_size]):
        net = fn.Network(layers, seed=2).build(n)
        for size in before:
            net.gradients(X[:size], y[:size])
        found.append([gradient.tobytes() for gradient in net.gradients(X[:few], y[:few]).values()])
    assert found[0] == found[1]


@pytest.mark.parametrize("as_bytes", [False, True], ids=["numbers", "bytes"])
@pytest.mark.parametrize("rescale", [fn.Rescale(1 / 255), fn.Rescale(2 / 255, -1)], ids=repr)
@pytest.mark.parametrize(("m", "n", "units"), [(1, 65, 1), (9, 130, 2), (150, 2000, 1), (90, 2001, 5), (90, 2001, 20)])
def test_scaled_samples_are_those_scaled_before(m, n, units, rescale, as_bytes):
    """A first layer that reads samples where they lie, in one pass or not, scales them as NumPy does."""
    rng = np.random.default_rng(m)
    X, y = rng.integers(0, 256, (m, n), np.uint8), rng.random((m, units))
    layers = [fn.Dense(units, "linear")]
    net = fn.Network([rescale, *layers], dtype="float64", seed=3).build(n)
    plain = fn.Network(layers, dtype="float64", seed=3).build(n)
    given, scaled = X if as_bytes else X.astype(float), rescale.scale * X + rescale.shift
    np.testing.assert_allclose(net.predict(given), plain.predict(scaled), rtol=1e-11, atol=1e-12)
    expected = plain.gradients(scaled, y)
    for name, gradient in net.gradients(given, y).items():
        np.testing.assert_allclose(gradient, expected[name], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(("m", "n", "units"), [(17, 2, 4), (300, 2, 4), (90, 300, 20)])
def test_inputs_that_stay_are_those_of_the_call(m, n, units):
    """Steps of the whole batch leave the turned inputs in the workspace: other samples must not meet them."""
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((m, n)), np.arange(m) % 2
    net = fn.Network([fn.Dense(units, "tanh"), fn.Dense(1, "sigmoid")]).build(n)
    twin, watched = net.copy(), net.copy()
    net.fit(X, y, epochs=5, batch_size=None, verbose=False)
    for _ in range(5):
        twin.fit(X, y, epochs=1, batch_size=None, verbose=False)
    np.testing.assert_array_equal(net.buffer, twin.buffer)
    # A call an epoch, and between them other samples in the same workspace, or in one of its own.
    watched.fit(X, y, epochs=5, batch_size=None, validation_data=(-X, y), verbose=False)
    np.testing.assert_array_equal(net.buffer, watched.buffer)
    net.fit(-X, y, epochs=2, batch_size=None, verbose=False)
    fresh = twin.copy()
    fresh.fit(-X, y, epochs=2, batch_size=None, verbose=False)
    np.testing.assert_array_equal(net.buffer, fresh.buffer)


@pytest.mark.parametrize("evaluates", [False, True])
def test_inputs_that_only_half_stay_are_read_again(evaluates):
    """A step that evaluates, or whose cost is not finite, has left half of what training keeps."""
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((90, 300)), rng.standard_normal(90)
    net = fn.Network([fn.Dense(20, "relu"), fn.Dense(1)]).build(300)
    batches, updates = net.batches(X, y), Updates(fn.SGD().settings(), np.full(3, 1e-3), (net.device.nothing,) * 2)
    twin, (costs, scores) = net.copy(), np.zeros((2, 3))

    def train(net):
        return net.run(codes.TRAIN, batches, 0, 3, updates=updates, costs=costs, scores=scores, repeats=True)

    net.buffer[:] = np.inf
    assert train(net) == 0
    net.buffer[:] = twin.buffer
    if evaluates:
        net.run(codes.EVALUATE, batches, 0, 1, costs=costs, scores=scores, repeats=True)
    assert train(net) == train(twin) == 3
    np.testing.assert_array_equal(net.buffer, twin.buffer)


def follows_its_gradients(net, X, y):
    """Three steps of the whole batch, in one call, against steps along gradients that are computed one by one."""
    twin = net.copy()
    net.fit(X, y, epochs=3, batch_size=None, optimizer=fn.SGD(0.1), verbose=False)
    for _ in range(3):
        for name, gradient in twin.gradients(X, y).items():
            twin.parameters[name][:] -= 0.1 * gradient
    np.testing.assert_allclose(net.buffer, twin.buffer, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("as_bytes", [False, True], ids=["numbers", "bytes"])
@pytest.mark.parametrize("units", [3, 20, 33, 300])
@pytest.mark.parametrize(("m", "n"), [(1, 64), (7, 100), (90, 2000), (209, 333)])
def test_samples_that_repeat_are_summed_right(m, n, units, as_bytes):
    """A step of the whole batch, whose samples stay in the workspace as panels, is one step along the gradient."""
    rng = np.random.default_rng(1)
    X, layers = rng.standard_normal((m, n)), [fn.Dense(units, "tanh"), fn.Dense(3, "softmax")]
    if as_bytes:
        X, layers = rng.integers(0, 256, (m, n), np.uint8), [fn.Rescale(1 / 255, -0.5), *layers]
    y = np.arange(m) % 3
    net = fn.Network(layers, dtype="float64").build(n)
    follows_its_gradients(net, X, y)


@pytest.mark.parametrize("loss", [None, fn.losses.log_loss(0.2), "hinge"], ids=repr)
@pytest.mark.parametrize(("m", "n"), [(3, 9), (30, 2), (90, 300), (90, 2000)])
def test_targets_that_repeat_are_made_once(m, n, loss):
    """Labels of a step of the whole batch stay in the workspace; they must not be smoothed once more in each step."""
    rng = np.random.default_rng(1)
    X, y = rng.standard_normal((m, n)), np.arange(m) % 2
    for hidden in ([], [fn.Dense(5, "tanh")]):
        last = fn.Dense(1, "linear" if loss == "hinge" else "sigmoid")
        net = fn.Network([*hidden, last], loss=loss, dtype="float64").build(n)
        net.task = net.task.learn(y)
        follows_its_gradients(net, X, y)


def test_a_large_matrix_is_packed_and_summed_right(threads):
    """Its columns are copied for the backward pass, which samples one by one do without."""
    X, y = np.random.default_rng(2).standard_normal((300, 17)), np.arange(300) % 3
    layers = [fn.Dense(1031, "tanh"), fn.Dense(1033, "tanh"), fn.Dense(3, "softmax")]
    for dtype, tolerance in (("float32", 2e-4), ("float64", 1e-11)):
        net = fn.Network(layers, dtype=dtype).build(17)
        net.device.has_amx = False  # which needs no copy
        plan = net._contexts.take(300, False).plan
        assert plan.layers[1, codes.PACKS_W]
        assert not net._contexts.take(1, False).plan.layers[:, codes.PACKS_W].any()
        whole = net.gradients(X, y)
        for name, gradient in whole.items():
            parts = [net.gradients(X[i : i + 30], y[i : i + 30])[name] for i in range(0, 300, 30)]
            scale = np.abs(gradient).max()
            np.testing.assert_allclose(gradient, np.mean(parts, axis=0), rtol=tolerance, atol=tolerance * scale)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", STRATEGIES)
def test_predict_sees_what_is_not_finite(name, bad):
    """The compiled program looks at the samples on their way, wherever they stand."""
    layers, n, batch_size = STRATEGIES[name]
    net = fn.Network(layers).build(n)
    X = np.random.default_rng(0).standard_normal((batch_size, n)).astype(np.float32)
    expected = net.predict(X)
    for row, column in ((0, 0), (batch_size // 2, n - 1), (batch_size - 1, n // 2)):
        broken = X.copy()
        broken[row, column] = bad
        with pytest.raises(ValueError, match=f"in row {row}"):
            net.predict(broken)
    np.testing.assert_array_equal(net.predict(X), expected)


def test_work_is_shared_among_threads(threads, monkeypatch):
    """The parallel and the serial path are both taken in these tests, by the threads there are and by the work."""
    monkeypatch.setattr(sharing, "line_nanoseconds", lambda: 30.0)
    for layers, n, m, expected in (([fn.Dense(500)], 500, 400, threads), ([fn.Dense(1)], 2, 10, 1)):
        net = fn.Network(layers).build(n)
        context = net._contexts.take(m, False)
        for mode in (codes.TRAIN, codes.PREDICT):
            assert net.device._workers(context, mode, net.buffer.size, m, plain=True) == expected


def test_threads_by_the_model():
    """More work and nearer cores are worth more threads; a single block, or little work, one."""

    def best(operations, blocks, line, most=16, itemsize=4):
        work = sharing.Work(2.0 * operations, operations, 10_000, 10_000, blocks, True, 2)
        share = sharing.Share(work, most, TARGET, itemsize, plain=True)
        return share._best(most, line)

    assert best(1e4, 8, 20.0) == 1
    assert best(1e9, 16, 20.0) > 8
    assert best(1e9, 1, 20.0) > 1  # they share dW
    assert best(1e6, 1, 20.0) == 1
    assert best(1e9, 3, 400.0) >= 2
    found = [best(operations, 64, 60.0) for operations in (1e4, 1e5, 1e6, 1e7, 1e8, 1e9)]
    assert found == sorted(found)
    assert all(best(1e6, 64, line) >= best(1e6, 64, 2 * line) for line in (20.0, 40.0, 80.0))
    assert best(1e9, 64, 20.0, most=1) == 1


def test_a_line_is_passed_in_a_time_that_can_be():
    assert sharing._NEAR <= sharing.measure_line() <= sharing._FAR


@pytest.mark.parametrize(("units", "splits_tail"), [(64, False), (300, True)])
def test_the_smallest_networks_do_not_compile_for_a_few_samples(units, splits_tail):
    net = fn.Network([fn.Dense(units, "relu"), fn.Dense(10, "softmax")]).build(64)
    plan, vector = net._contexts.take(33, False).plan, net.device.panel // 2
    assert has_split_tail(plan, 2 * vector + 1, TARGET, vector) == splits_tail
    assert (codes.SAMPLE_ROWS in components.of_plan(plan, TARGET, vector)) == splits_tail


@pytest.mark.parametrize("n", [65, 100, 300, 784])
@pytest.mark.parametrize("batch_size", [1, 17, 32, 48, 96, 100, 209])
def test_two_threads_have_like_shares_of_a_step(batch_size, n):
    """Of the samples, in vectors, and of the weights, where there are enough of both."""
    net = fn.Network([fn.Dense(300, "relu"), fn.Dense(3, "softmax")]).build(n)
    plan, vector = net._contexts.take(batch_size, False).plan, net.device.panel // 2
    vectors = -(-batch_size // vector)
    if is_cut_for_threads(net.buffer.size, batch_size, TARGET) and batch_size > vector:
        blocks = -(-batch_size // plan.block_rows)
        sizes = [min(plan.block_rows, batch_size - i * plan.block_rows) for i in range(blocks)]
        shares = [sum(-(-size // vector) for size in some) for some in (sizes[: blocks // 2], sizes[blocks // 2 :])]
        assert max(shares) <= max(1.1 * -(-vectors // 2), 1)
    weights = [(last - first) * (end - begin) for _, first, last, begin, end in plan.tasks.tolist()]
    apart = sum(weights[0::2]) - sum(weights[1::2])
    assert abs(apart) <= max(0.1 * sum(weights), 300 * net.device.panel)


def test_loops_of_depthwise_convolutions_are_for_those_alone():
    """Where each channel has a filter of its own."""
    for groups, filters, is_depthwise in ((6, 6, True), (6, 12, False), (3, 6, False), (1, 6, False)):
        net = fn.Network([fn.Conv2D(filters, 3, groups=groups), fn.Dense(2)]).build((5, 5, 6))
        plan, _ = net.device.make_plan(net._graph, 20, net.strategy(20))
        assert (codes.DEPTHWISE in components.of_plan(plan, TARGET, 16)) == is_depthwise
