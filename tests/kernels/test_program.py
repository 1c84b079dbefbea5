"""What the compiled program promises: one compilation a dtype, no allocation, the same bits on any threads."""

import numpy as np
import pytest
from fastnet_kernels import codes

import fastnet as fn

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
    from fastnet_kernels.cpu.program import run

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


@pytest.mark.parametrize("layers", ARCHITECTURES[3:5] + ARCHITECTURES[7:8], ids=repr)
def test_training_allocates_nothing(layers, threads):
    from numba.core.runtime import _nrt_python, rtsys

    rng = np.random.default_rng(0)
    X, y = samples(layers, 300, 40, rng)
    net = fn.Network(layers).build(40)
    net.task = net.task.learn(y)
    batches = net.batches(X, y, 32)
    batches.order = rng.permutation(300)
    costs, hits = np.zeros((2, batches.steps))

    def allocations(n_steps):
        before = rtsys.get_allocation_stats()
        net.run(codes.TRAIN, batches, 0, n_steps, costs=costs, hits=hits, learning_rate=1e-3)
        return rtsys.get_allocation_stats().alloc - before.alloc

    net.run(codes.TRAIN, batches, 0, 1, costs=costs, hits=hits)
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


def test_work_is_shared_among_threads(threads):
    """The parallel and the serial path are both taken in these tests, by the threads there are and by the work."""
    net = fn.Network([fn.Dense(1)]).build(2)
    plan, *_ = net._planned(100)
    assert net.device._workers(codes.TRAIN, plan, 1_000_000, 100) == threads
    assert net.device._workers(codes.TRAIN, plan, 10, 10) == 1
