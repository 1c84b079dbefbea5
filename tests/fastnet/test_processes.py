"""fastnet in forked children, in several Python threads, and at import."""

import os
import subprocess
import sys

import numpy as np
import pytest

import fastnet as fn


def big_problem():
    rng = np.random.default_rng(0)
    return rng.standard_normal((512, 100)), rng.integers(0, 10, 512)


def trained():
    X, y = big_problem()
    net = fn.Network([fn.Dense(200, "relu"), fn.Dense(10, "softmax")])
    net.fit(X, y, epochs=2, batch_size=128, verbose=False)
    return net.buffer


FORK = """
import os, sys
sys.path.insert(0, sys.argv[1])
from test_processes import trained

expected = trained()  # a parallel region has run in the parent: OpenMP threads exist
reader, writer = os.pipe()
child = os.fork()
if child == 0:
    os.write(writer, trained().tobytes()[:60_000])
    os._exit(0)
os.close(writer)
found = os.fdopen(reader, "rb").read()
assert os.waitpid(child, 0)[1] == 0
assert found == expected.tobytes()[:60_000]
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_forked_child_trains_to_the_same_bits():
    """In a process of its own: other libraries' threads would not survive the fork either."""
    subprocess.run([sys.executable, "-c", FORK, os.path.dirname(__file__)], check=True, timeout=300)


def test_several_python_threads():
    from concurrent.futures import ThreadPoolExecutor

    expected = trained()
    with ThreadPoolExecutor(4) as pool:
        for buffer in pool.map(lambda _: trained(), range(8)):
            np.testing.assert_array_equal(buffer, expected)


def test_import_is_light():
    """`import fastnet` loads neither Numba nor a plotting library: they come when they are needed."""
    heavy = ("numba", "matplotlib", "torch", "tqdm", "pandas", "importlib.metadata")
    script = f"import sys, fastnet; print([name for name in {heavy} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_the_number_of_threads():
    import numba

    before, most = numba.get_num_threads(), numba.config.NUMBA_NUM_THREADS
    fn.set_num_threads(1)
    assert numba.get_num_threads() == 1
    fn.set_num_threads(before)
    for count, message in ((0, "count=0"), (most + 1, f"is above {most}"), ("all", "whole number")):
        with pytest.raises((ValueError, TypeError), match=message):
            fn.set_num_threads(count)
    assert numba.get_num_threads() == before
