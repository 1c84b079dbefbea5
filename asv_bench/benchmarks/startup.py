"""What a user waits for: importing, and the first fit in a new process, compiled already or not. Whole processes."""

import os
import subprocess
import sys
import tempfile

FIRST_FIT = """
import fastnet as fn
X, y = fn.datasets.digits()
fn.Network([fn.Dense(64, "relu"), fn.Dense(10, "softmax")]).fit(X, y, epochs=1, verbose=False)
"""


def run(script, cache=None):
    environment = dict(os.environ)
    if cache is not None:
        environment["NUMBA_CACHE_DIR"] = cache
    subprocess.run([sys.executable, "-c", script], check=True, env=environment, capture_output=True)


class Import:
    number, warmup_time, repeat = 1, 0, 7

    def time_python(self):
        run("pass")

    def time_numpy(self):
        run("import numpy")

    def time_fastnet(self):
        run("import fastnet")


class WarmCache:
    number, warmup_time, repeat = 1, 0, 7

    def setup(self):
        self.cache = tempfile.TemporaryDirectory()
        run(FIRST_FIT, self.cache.name)

    def teardown(self):
        self.cache.cleanup()

    def time_first_fit(self):
        run(FIRST_FIT, self.cache.name)


class ColdCache:
    number, warmup_time, repeat = 1, 0, 1
    timeout = 300

    def setup(self):
        self.cache = tempfile.TemporaryDirectory()

    def teardown(self):
        self.cache.cleanup()

    def time_first_fit(self):
        run(FIRST_FIT, self.cache.name)
