import os
import sys

import numba
import pytest

if os.environ.get("NUMBA_ENABLE_CUDASIM") == "1":
    # A simulated thread waits for the others in turns of this length: with the default a test takes five times as long.
    sys.setswitchinterval(1e-4)


@pytest.fixture(params=[1, 2])
def threads(request):
    """Each test that asks for it runs on one and on two threads."""
    if request.param > numba.config.NUMBA_NUM_THREADS:
        pytest.skip(f"this machine has {numba.config.NUMBA_NUM_THREADS} thread")
    before = numba.get_num_threads()
    numba.set_num_threads(request.param)
    yield request.param
    numba.set_num_threads(before)
