import numba
import pytest


@pytest.fixture(params=[1, 2])
def threads(request):
    """Each test that asks for it runs on one and on two threads."""
    if request.param > numba.config.NUMBA_NUM_THREADS:
        pytest.skip(f"this machine has {numba.config.NUMBA_NUM_THREADS} thread")
    before = numba.get_num_threads()
    numba.set_num_threads(request.param)
    yield request.param
    numba.set_num_threads(before)
