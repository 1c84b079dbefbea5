"""One formula in five steps, from a Python loop to the micro-kernel that fastnet trains with: Z = A_prev W^T + b.

    python examples/ladder.py
    python examples/ladder.py 256 784 512    # m samples, n_prev inputs, n units

Every step computes the same Z (m, n) from A_prev (m, n_prev), W (n, n_prev) and b (n,), in float32. It is checked
against NumPy in float64, and timed beside NumPy and beside this machine's limit: how long the multiply-adds would take
if no number had to be waited for, or a copy of all matrices, whichever is longer.
"""

import sys
from collections.abc import Callable

import numba
import numpy as np
from fastnet_kernels.cpu.codegen.compiling import FASTMATH
from fastnet_kernels.cpu.codegen.matrix import Matrix
from fastnet_kernels.cpu.codegen.processor import PANEL_BYTES
from fastnet_kernels.cpu.gemm.macro_kernel import gemm, mc_for
from fastnet_kernels.cpu.gemm.micro_kernels import NO_PREFETCH
from fastnet_kernels.cpu.partition import share
from numba import njit, prange

from fastnet.benchmarks.kernels import largest_error, make_case
from fastnet.benchmarks.limits import limit_seconds, processor
from fastnet.benchmarks.tables import as_text, readable_time
from fastnet.benchmarks.timing import samples

PANEL = PANEL_BYTES // 4  # samples in a panel: two vector registers of float32 numbers


def python_loop(A_prev, W, b, Z):
    """Step 1: the formula, one number after the other.

    Slow, because for every multiply-add Python makes several objects, looks up what `*` and `+` mean for them, and
    checks the indices: some hundred nanoseconds, in which one core could do ten thousand multiply-adds.
    """
    m, n = Z.shape
    for i in range(m):
        for j in range(n):
            total = b[j]
            for k in range(W.shape[1]):
                total += A_prev[i, k] * W[j, k]
            Z[i, j] = total


@njit
def compiled(A_prev, W, b, Z):
    """Step 2, new: machine code. The same lines; Numba knows the types before they run.

    Faster, because a multiply-add is now two instructions on two registers. Still slow, because each addition to
    `total` has to wait for the one before, some four cycles. The compiler may not add in another order to avoid that,
    since it would round differently.
    """
    m, n = Z.shape
    for i in range(m):
        for j in range(n):
            total = b[j]
            for k in range(W.shape[1]):
                total += A_prev[i, k] * W[j, k]
            Z[i, j] = total


@njit(parallel=True, fastmath=FASTMATH)
def parallel(A_prev, W, b, Z):
    """Step 3, new: all cores (`prange`) and whole vector registers (`fastmath`). Again the same lines.

    Faster, because each core takes some of the samples; and because sums may now be reordered: one instruction
    multiplies and adds 8 or 16 numbers, and several partial sums run side by side, so that none waits for another. (It
    is also more accurate: many short sums round less than a long one.) Still slow, because every multiply-add loads two
    vectors, and because all of W passes through the cache once for each sample.
    """
    m, n = Z.shape
    for i in prange(m):
        for j in range(n):
            total = b[j]
            for k in range(W.shape[1]):
                total += A_prev[i, k] * W[j, k]
            Z[i, j] = total


@njit(parallel=True, fastmath=FASTMATH)
def blocked(A_prev, W, b, Z):
    """Step 4, new: blocks, of Z for the registers and of W for the cache.

    Faster, because whatever has been loaded is used several times. Two samples by four units are summed at once: six
    loads serve eight multiply-adds. And 64 rows of W serve 32 samples while they are in the second-level cache. Still
    slow, because the loads are still half of the work, the rows lie far apart in memory, and the compiler uses vectors
    of half the width on machines with AVX-512.
    """
    m, n = Z.shape
    for block in prange((m + 31) // 32):
        i = 32 * np.int64(block)
        for j in range(0, n, 64):
            _block(A_prev[i : i + 32], W[j : j + 64], b[j : j + 64], Z[i : i + 32, j : j + 64])


@njit(fastmath=FASTMATH)
def _block(A_prev, W, b, Z):
    m, n = Z.shape
    even, fours = m // 2 * 2, n // 4 * 4
    for i in range(0, even, 2):
        for j in range(0, fours, 4):
            _two_by_four(A_prev[i : i + 2], W[j : j + 4], b[j : j + 4], Z[i : i + 2, j : j + 4])
    for i in range(m):  # what is left at the edges
        for j in range(fours if i < even else 0, n):
            total = b[j]
            for k in range(W.shape[1]):
                total += A_prev[i, k] * W[j, k]
            Z[i, j] = total


@njit(fastmath=FASTMATH)
def _two_by_four(A_prev, W, b, Z):
    p = q = r = s = t = u = v = w = Z.dtype.type(0)
    for k in range(W.shape[1]):
        x, y = A_prev[0, k], A_prev[1, k]
        p, q, r, s = p + x * W[0, k], q + x * W[1, k], r + x * W[2, k], s + x * W[3, k]
        t, u, v, w = t + y * W[0, k], u + y * W[1, k], v + y * W[2, k], w + y * W[3, k]
    Z[0, 0], Z[0, 1], Z[0, 2], Z[0, 3] = p + b[0], q + b[1], r + b[2], s + b[3]
    Z[1, 0], Z[1, 1], Z[1, 2], Z[1, 3] = t + b[0], u + b[1], v + b[2], w + b[3]


@njit(parallel=True)
def packed(A_prev, W, b, Z, panels, blocks):
    """Step 5, new: packed panels, and a micro-kernel that is written for the registers. So fastnet trains.

    The samples are transposed into panels, PANEL samples wide, a feature a row, so that the vectors lie one after the
    other. The micro-kernel keeps up to 14 units by two vectors of samples in registers; a step of k loads the two
    vectors, and multiplies them with a number of each unit's row of W:

        panel (n_prev, PANEL)       W            block (n, PANEL)
        k = 0  x x x x x x x x      w . . .      z z z z z z z z    unit 0
        k = 1  x x x x x x x x      w . . .      z z z z z z z z    unit 1
        k = 2  . . .                w . . .      ...

    Faster, because two vectors and 14 single numbers are loaded for 28 multiply-adds of whole vectors, no lanes are
    added up at the end, and memory is read strictly in order. Where steps 3 and 4 leave it to the compiler, here the
    code says what is in which register (`fastnet_kernels/cpu/gemm/micro_kernels.py`).

    In a network the blocks of one layer are the panels of the next. So only the first layer packs, and nothing is
    transposed back but the outputs; here, both are part of the time.
    """
    (m, n), n_prev, one = Z.shape, W.shape[1], Z.dtype.type(1)
    n_panels, workers = len(panels), numba.get_num_threads()
    for worker in prange(workers):
        first, last = share(np.int64(worker), workers, n_panels)
        for p in range(first, last):
            width = min(PANEL, m - p * PANEL)
            for i in range(width):
                for k in range(n_prev):
                    panels[p, k, i] = A_prev[p * PANEL + i, k]
            for j in range(n):
                blocks[p, j] = b[j]
        rows = mc_for(n_prev, W)  # so many rows of W stay in the second-level cache, for all panels
        for j in range(0, n, rows):
            for p in range(first, last):
                C = Matrix(blocks, (p * n + j) * PANEL, PANEL, 1)
                A, B = Matrix(W, j * n_prev, n_prev, 1), Matrix(panels, p * n_prev * PANEL, PANEL, 1)
                gemm(min(rows, n - j), PANEL, n_prev, one, C, C, A, B, NO_PREFETCH)
        for p in range(first, last):
            for i in range(min(PANEL, m - p * PANEL)):
                for j in range(n):
                    Z[p * PANEL + i, j] = blocks[p, j, i]


def steps(A_prev, W, b, Z) -> dict[str, Callable[[], object]]:
    """A call of each step on these arrays, and of NumPy. What step 5 packs into is made once, as fastnet does it."""
    n_panels = -(-len(Z) // PANEL)
    panels = np.zeros((n_panels, W.shape[1], PANEL), Z.dtype)
    blocks = np.zeros((n_panels, len(W), PANEL), Z.dtype)

    def with_numpy():
        np.matmul(A_prev, W.T, out=Z)
        np.add(Z, b, out=Z)

    return {
        "1 Python loop": lambda: python_loop(A_prev, W, b, Z),
        "2 compiled": lambda: compiled(A_prev, W, b, Z),
        "3 parallel, vectors": lambda: parallel(A_prev, W, b, Z),
        "4 blocked": lambda: blocked(A_prev, W, b, Z),
        "5 packed, micro-kernel": lambda: packed(A_prev, W, b, Z, panels, blocks),
        "NumPy": with_numpy,
    }


def measure(shape: tuple[int, int, int], names: list[str], rounds: int) -> list[dict[str, object]]:
    """For each step the error, the seconds, and the shares of the limit and of NumPy's speed, at (m, n_prev, n)."""
    case = make_case("dense_forward", shape, "float32")
    (A_prev, W, b), (Z,) = case.inputs, case.outputs
    exact = A_prev.astype(np.float64) @ W.T.astype(np.float64) + b
    calls = steps(A_prev, W, b, Z)
    limit = limit_seconds(case.flops, case.bytes, "float32", numba.get_num_threads())
    errors = {}
    for name in names:
        Z[:] = np.nan
        calls[name]()
        errors[name] = largest_error([Z], [exact])
    seconds = {
        name: float(np.median(found))
        for name, found in samples({name: calls[name] for name in [*names, "NumPy"]}, rounds=rounds).items()
    }
    return [
        {
            "step": name,
            "shape": "x".join(map(str, shape)),
            "seconds": seconds[name],
            "gflops": case.flops / seconds[name] / 1e9,
            "of limit": limit / seconds[name],
            "of NumPy": seconds["NumPy"] / seconds[name],
            "error": errors[name],
        }
        for name in names
    ]


def main(
    m: int = 256, n_prev: int = 784, n: int = 512, small: tuple[int, int, int] = (16, 64, 16), rounds: int = 7
) -> list[dict[str, object]]:
    records = measure(small, ["1 Python loop"], rounds)  # at the full size it would take half a minute
    names = ["2 compiled", "3 parallel, vectors", "4 blocked", "5 packed, micro-kernel", "NumPy"]
    records += measure((m, n_prev, n), names, rounds)
    rows = [["step", "m x n_prev x n", "time", "GFLOP/s", "of limit", "of NumPy", "error"]]
    rows += [
        [
            record["step"],
            record["shape"],
            readable_time(record["seconds"]),
            f"{record['gflops']:.3g}",
            f"{record['of limit']:.2%}" if record["of limit"] < 0.1 else f"{record['of limit']:.0%}",
            f"{record['of NumPy']:.3g}x",
            f"{record['error']:.1e}",
        ]
        for record in records
    ]
    print(f"{processor()}, {numba.get_num_threads()} threads\n\n{as_text(rows)}")
    return records


if __name__ == "__main__":
    main(*map(int, sys.argv[1:4]))
