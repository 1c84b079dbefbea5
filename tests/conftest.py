import math
import os
import signal
import sys
import threading
import zlib

import numba
import numpy as np
import pytest
from fastnet_kernels.distribution import conflict

_fault = conflict()
if _fault is not None:
    pytest.exit(_fault, returncode=pytest.ExitCode.USAGE_ERROR)

# A shell starts what is to run in the background with Ctrl-C ignored, and a process hands that on to its children.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

if os.environ.get("NUMBA_ENABLE_CUDASIM") == "1":
    from numba.cuda.simulator.kernelapi import FakeCUDAShared

    # A simulated thread waits for the others in turns of this length: with the default a test takes five times as long.
    sys.setswitchinterval(1e-4)

    # The simulator's threads ask for shared memory at the same time, and without a lock now and then get two of it. It
    # is the same for all who ask in the same line.
    _lock = threading.Lock()

    def _locked(self, shape, dtype, alignment=None):
        asking = sys._getframe(1)
        line = asking.f_code.co_filename, asking.f_lineno
        with _lock:
            if line not in self._allocations:
                self._allocations[line] = np.empty(shape, dtype)
            return self._allocations[line]

    FakeCUDAShared.array = _locked


@pytest.fixture(autouse=True)
def numbers_of_its_own(request, monkeypatch):
    """A test draws the same numbers from its module's `RNG` whichever tests came before it in this process."""
    if hasattr(request.module, "RNG"):
        name = request.node.nodeid.rpartition("::")[2]
        monkeypatch.setattr(request.module, "RNG", np.random.default_rng(zlib.crc32(name.encode())))


@pytest.fixture(params=[1, 2])
def threads(request):
    """Each test that asks for it runs on one and on two threads."""
    if request.param > numba.config.NUMBA_NUM_THREADS:
        pytest.skip(f"this machine has {numba.config.NUMBA_NUM_THREADS} thread")
    before = numba.get_num_threads()
    numba.set_num_threads(request.param)
    yield request.param
    numba.set_num_threads(before)


@pytest.fixture
def one_thread():
    """Which gives the same numbers, and is the faster where machines are shared."""
    before = numba.get_num_threads()
    numba.set_num_threads(1)
    yield
    numba.set_num_threads(before)


@pytest.fixture
def images(monkeypatch):
    """`images(5, 6, 2)`: Dense layers of 60 units make images of this shape.

    So a layer of images, too, has parameters before it, without which there would be no gradients to go through it.
    """
    from fastnet import Dense

    shapes, flat = {}, Dense.output_shape
    monkeypatch.setattr(Dense, "output_shape", lambda self, shape: shapes.get(self.units) or flat(self, shape))
    return lambda *shape: shapes.setdefault(math.prod(shape), shape)


@pytest.fixture
def torch():
    """PyTorch, on one thread: with a few numbers to compute, several would only wait for each other."""
    module = pytest.importorskip("torch")
    before = module.get_num_threads()
    module.set_num_threads(1)
    yield module
    module.set_num_threads(before)
