"""Every public kernel over sizes from tiny to beyond the cache, in every backend, against the limit of this machine."""

import numba

from fastnet.benchmarks.comparison import compare
from fastnet.benchmarks.kernels import SUBJECTS, backends, make_case
from fastnet.benchmarks.limits import bandwidth, peak_flops

from .common import ROUNDS, module_of

BACKENDS = list(backends()[0])  # those that can run here
DTYPES = ["float32", "float64"]


class _Rates:
    """One kernel; a subclass for each is made below, so that each has a page of its own."""

    param_names = ("shape", "dtype", "backend")
    timeout = 300

    def setup_cache(self):
        """Rates and fractions of all kernels, measured once: each backend and the machine's limit in turn."""
        records = [record for dtype in DTYPES for record in compare(dtype=dtype, threads=1, rounds=ROUNDS)]
        return {(r["kernel"], "x".join(map(str, r["shape"])), r["dtype"], r["backend"]): r for r in records}

    setup_cache.timeout = 900

    def setup(self, records, shape, dtype, backend):
        self.record = records.get((self.kernel, shape, dtype, backend))
        if self.record is None:
            raise NotImplementedError(f"{backend} cannot run here")

    def track_rate(self, records, shape, dtype, backend):
        return self.record["gflops"] or self.record["gbytes"]

    def track_fraction_of_limit(self, records, shape, dtype, backend):
        return self.record["fraction"]

    track_fraction_of_limit.unit = "of limit"


class _Time:
    """The same calls, with asv's own statistics."""

    param_names = ("shape", "dtype", "backend")

    def setup(self, shape, dtype, backend):
        numba.set_num_threads(1)
        self.call = make_case(self.kernel, tuple(map(int, shape.split("x"))), dtype).bound(module_of(backend))
        self.call()  # compiles

    def time_call(self, shape, dtype, backend):
        self.call()


def _subclasses(name, subject):
    title = "".join(part.capitalize() for part in name.split("_"))
    shapes = ["x".join(map(str, shape)) for shape in subject.shapes]
    members = {"kernel": name, "params": (shapes, DTYPES, BACKENDS), "__module__": __name__}

    def track_rate(self, records, shape, dtype, backend):
        return _Rates.track_rate(self, records, shape, dtype, backend)

    track_rate.unit = "GFLOP/s" if subject.multiply_adds else "GB/s"
    if len(shapes) > 1:  # of the others the rate says enough
        yield title, type(title, (_Time,), members)
    yield f"{title}Rates", type(f"{title}Rates", (_Rates,), {**members, "track_rate": track_rate})


for _name, _subject in SUBJECTS.items():
    globals().update(_subclasses(_name, _subject))


class Limits:
    """The peak of multiply-adds, and of copies that fit the caches or do not."""

    params = ((1, 2), DTYPES)
    param_names = ("threads", "dtype")

    def setup(self, threads, dtype):
        if threads > numba.config.NUMBA_NUM_THREADS:
            raise NotImplementedError
        numba.set_num_threads(threads)

    def track_multiply_add(self, threads, dtype):
        return peak_flops(dtype, threads) / 1e9

    def track_copy_in_cache(self, threads, dtype):
        return bandwidth(1 << 19, threads) / 1e9

    def track_copy_beyond_cache(self, threads, dtype):
        return bandwidth(1 << 28, threads) / 1e9

    track_multiply_add.unit = "GFLOP/s"
    track_copy_in_cache.unit = track_copy_beyond_cache.unit = "GB/s"
