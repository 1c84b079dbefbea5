"""Matrix products, tile by tile: C = P Q^T over a part of the inner dimension, for factors that lie either way.

After the usual plan of a fast product on a GPU (Volkov and Demmel, 2008; NVIDIA's CUTLASS): a block copies a slab of
both factors to shared memory, each thread multiplies its own small tile of registers from there, and meanwhile the next
slab is on its way from memory.
"""

from .compiling import cuda, inner
from .registers import add_all, load, multiplier, put, put_all, store_tile, zeros
from .sizes import (
    LARGE_COLUMN_BYTES,
    LARGE_DEPTH,
    LARGE_GROUPS,
    LARGE_HEIGHT,
    LARGE_ROWS,
    LARGE_WIDTH_BYTES,
    PADDING,
    SMALL_COLUMNS,
    SMALL_DEPTH,
    SMALL_GROUPS,
    SMALL_HEIGHT,
    SMALL_ROWS,
    SMALL_WIDTH,
    THREADS,
)


def _mover(height, depth):
    """GPU code that moves a slab of a factor, `height` rows by `depth`, from memory to registers, and on.

    Thread by thread along the way the factor lies, so that neighbouring threads read neighbouring numbers.
    """
    count, stride = height * depth // THREADS, height + PADDING

    @inner
    def share(by_row, by_depth, n_rows):
        """A thread's numbers of each slab. Where the first one is in memory; then which are in the factor's rows, the
        first one's depth, how far the next ones are in depth, in memory and in shared memory, and where the first
        one is there.
        """
        thread = cuda.threadIdx.x
        if by_depth == 1:
            row, k, rows, depths = thread // depth, thread % depth, THREADS // depth, 0
        else:
            row, k, rows, depths = thread % height, thread // height, 0, THREADS // height
        in_rows = 0
        for s in range(count):
            if row + s * rows < n_rows:
                in_rows |= 1 << s
        step, shared_step = rows * by_row + depths * by_depth, depths * stride + rows
        return row * by_row + k * by_depth, (in_rows, k, depths, step, shared_step, k * stride + row)

    @inner
    def fetch(numbers, offset, n_depths, mine, registers):
        """registers = this thread's numbers of a slab, from its first one's place on; 0 where the factor has none."""
        there, k, depths, step, _, _ = mine
        if n_depths < depth:
            for s in range(count):
                if k + s * depths >= n_depths:
                    there &= ~(1 << s)
        for s in range(count):
            registers[s] = registers.dtype.type(0)
            if there & (1 << s):
                registers[s] = load(numbers, offset + s * step)

    @inner
    def store(registers, shared, offset, mine):
        """The same numbers to shared memory: a depth a row."""
        _, _, _, _, shared_step, first = mine
        for s in range(count):
            put(shared, offset + first + s * shared_step, registers[s])

    return share, fetch, store, count


def _make_product(height, width, depth, rows, columns, groups):
    """The product of one kind of tile; for the sizes see `sizes`."""
    share_P, fetch_P, store_P, count_P = _mover(height, depth)
    share_Q, fetch_Q, store_Q, count_Q = _mover(width, depth)
    p_stride, q_stride = height + PADDING, width + PADDING
    slab = depth * (p_stride + q_stride)
    down, across = height // rows, width // columns
    a_group, n_sums = down * across, rows * columns
    a_share = depth // groups
    store_sums = store_tile(rows, columns, 4 * down, 4 * across)
    zeros_for, add = zeros(n_sums), multiplier(rows, columns, a_share, p_stride, 4 * down, q_stride, 4 * across)

    @inner
    def product(C, c, stride, P, p, p_row, p_depth, Q, q, q_row, q_depth, i0, m, j0, n, start, stop, shared):
        """C[i, j] = sum_k P[i, k] Q[j, k] for one tile, from i0, j0 on, of the m x n, and k from `start` to `stop`.

        Each matrix is a vector, where it begins there, and from row to row and from k to k (one of the two is 1). C's
        rows are `stride` apart. `shared` must be free for use, and is so again at the end, when all of the block see C.
        """
        thread = cuda.threadIdx.x
        group, ty, tx = thread // a_group, thread % a_group // across, thread % across
        sums = zeros_for(C)
        next_P = cuda.local.array(count_P, C.dtype)
        next_Q = cuda.local.array(count_Q, C.dtype)
        first_P, mine_P = share_P(p_row, p_depth, m - i0)
        first_Q, mine_Q = share_Q(q_row, q_depth, n - j0)
        p += first_P + i0 * p_row + start * p_depth
        q += first_Q + j0 * q_row + start * q_depth
        left_over = stop - start
        fetch_P(P, p, left_over, mine_P, next_P)
        fetch_Q(Q, q, left_over, mine_Q, next_Q)
        current = 0
        store_P(next_P, shared, 0, mine_P)
        store_Q(next_Q, shared, depth * p_stride, mine_Q)
        cuda.syncthreads()
        while left_over > 0:
            left_over -= depth
            p += depth * p_depth
            q += depth * q_depth
            if left_over > 0:
                fetch_P(P, p, left_over, mine_P, next_P)
                fetch_Q(Q, q, left_over, mine_Q, next_Q)
            left = current + group * a_share * p_stride + 4 * ty
            right = current + depth * p_stride + group * a_share * q_stride + 4 * tx
            sums = add(sums, shared, left, right)
            if left_over > 0:
                current = slab - current
                store_P(next_P, shared, current, mine_P)
                store_Q(next_Q, shared, current + depth * p_stride, mine_Q)
                cuda.syncthreads()
        if groups > 1:  # the first group adds up what the others have, one after the other
            cuda.syncthreads()
            if group > 0:
                put_all(sums, shared, (group - 1) * n_sums * a_group + thread % a_group, a_group)
            cuda.syncthreads()
            if group == 0:
                for other in range(groups - 1):
                    sums = add_all(sums, shared, other * n_sums * a_group + thread, a_group)
        if group == 0:
            i, j = i0 + 4 * ty, j0 + 4 * tx
            store_sums(sums, C, c + i * stride + j, stride, m - i, n - j)
        cuda.syncthreads()

    return product


small_product = _make_product(SMALL_HEIGHT, SMALL_WIDTH, SMALL_DEPTH, SMALL_ROWS, SMALL_COLUMNS, SMALL_GROUPS)
large_product, large_product_of_doubles = (
    _make_product(
        LARGE_HEIGHT, LARGE_WIDTH_BYTES // size, LARGE_DEPTH, LARGE_ROWS, LARGE_COLUMN_BYTES // size, LARGE_GROUPS
    )
    for size in (4, 8)
)
