"""Recurrent layers as public kernels: sequences X (m, t, p), states (m, t, n) and gates (m, t, g n), without gaps.

A task takes some samples through all steps, in memory of its own, where a gate is a matrix (samples, units): the cells
of the program go through all of its numbers as one run, a unit a lane, and W and U stay packed for all steps. Z of a
step stays in cache until gates are made of it; of few samples the inputs' part of all steps is one product. The sums dW
and dU are one product each of all steps.
"""

from ...codes import GRU_CELL, LSTM_CELL, RELU_CELL, TANH_CELL
from ..codegen.arrays import flat, vector
from ..codegen.compiling import inner, routine
from ..codegen.elements import added, clear, same
from ..codegen.kernel import kernel
from ..codegen.loops import map_numbers
from ..codegen.matrix import Matrix, moved, row_of, transposed
from ..codegen.processor import PANEL_BYTES, TARGET
from ..codegen.scratch import give_back, numbers_in, take
from ..codegen.tasks import run_tasks
from ..codegen.vector_math import tanh as tanh_of
from ..gemm.product import multiply_panels, pack_panels, product
from ..layers.recurrent.cells import n_gates, n_weight_gates, step_backward, step_forward
from ..partition import bounds, n_blocks
from .dense import backward, product_alone, sum_over_samples

_OPERATIONS = TARGET.min_parallel_flops
_THREADS = TARGET.balanced_threads
_SAMPLES = 32  # of a task, at the most: whole tiles of them, whose gates stay in the second-level cache
_FEW_SAMPLES = 4  # up to which dot products are faster than low tiles
_FEW_ROWS = 64  # of all steps, up to which packing U costs more than it saves


@routine
def _copy_rows(m, n, target, source):
    """target = source, both `Matrix`es (m, n) of contiguous rows."""
    for i in range(m):
        map_numbers(same, row_of(target, i, 0, n), (row_of(source, i, 0, n),), ())


@routine
def _add_rows(m, n, target, source):
    for i in range(m):
        row = row_of(target, i, 0, n)
        map_numbers(added, row, (row, row_of(source, i, 0, n)), ())


@inner
def _step(data, k, first, t, n):
    """The rows of step k, from sample `first` on, of an array (m, t, n)."""
    return Matrix(data, (first * t + k) * n, t * n, 1)


@inner
def _states_before(first_states, states, k, first, t, n):
    """The states before step k, from sample `first` on."""
    if k == 0:
        return Matrix(first_states, first * n, n, 1)
    return _step(states, k - 1, first, t, n)


@inner
def _gate_of(cell, part):
    """Which gate a part of U, n rows, makes: that of a GRU's candidate stays apart from the inputs' part."""
    return 3 if cell == GRU_CELL and part == 2 else part


@inner
def _is_shared(cell, m, t, n):
    return m * t * n_weight_gates(cell) * n * n > _OPERATIONS


@inner
def _samples_of_task(m, is_shared):
    """Like shares of the samples, of as many tasks as all threads have something of."""
    tasks = n_blocks(m, _SAMPLES)
    if is_shared:
        tasks = n_blocks(tasks, _THREADS) * _THREADS
    return max(1, n_blocks(m, max(1, tasks)))


@inner
def _size_of_panels(cell, m, t, n, depth, like):
    """Numbers of the parts of U or W in panels, each by itself; 0 where it is read as it lies."""
    nr = PANEL_BYTES // like.itemsize
    is_packed = m > _FEW_SAMPLES and m * t > _FEW_ROWS
    return n_weight_gates(cell) * n_blocks(n, nr) * nr * depth if is_packed else 0


@inner
def _panels_of(panels, part, cell):
    size = panels.size // n_weight_gates(cell)
    return vector(panels, part * size, size)


@inner
def _part_of(U, part, n, depth):
    """Rows of U (g n, n) or of W, for a gate."""
    return Matrix(U, part * n * depth, depth, 1)


@inner
def _start_gates(part, cell, k, first, count, t, p, n, X, panels_of_W, b, gates, made):
    """b and the inputs' part of a gate at step k; without panels it is in `gates`."""
    if panels_of_W.size == 0:
        kept = moved(_step(gates, k, first, t, n_gates(cell) * n), part * n)
        _copy_rows(count, n, made, kept)
    else:
        panels = _panels_of(panels_of_W, part, cell)
        multiply_panels(count, n, p, made, Matrix(b, part * n, 0, 1), _step(X, k, first, t, p), panels)


@routine
def _multiply(m, n, C, A, B, panels):
    """C += A B for A (m, n) and B (n, n), by B's panels if there are."""
    if panels.size == 0:
        product(m, n, n, C, A, B, C)
    else:
        multiply_panels(m, n, n, C, C, A, panels)


@routine
def _forward_task(task, cell, m, t, p, n, samples, X, U, panels_of_W, panels, b, h0, c0, h, c, gates):
    """All steps of some samples; without panels the inputs' part of the gates is there."""
    first, last = bounds(task, m, samples)
    count, each = last - first, n_gates(cell)
    size = count * n
    numbers = (each + 5) * size
    piece = take(numbers * h.itemsize)
    data = numbers_in(piece, h, 0, numbers)
    # States before and behind a step, and cells, change places: in one place, LLVM would not make vectors of the loop.
    before, behind, tanh_cells = each * size, (each + 2) * size, (each + 4) * size
    _copy_rows(count, n, Matrix(data, before, n, 1), Matrix(h0, first * n, n, 1))
    if cell == LSTM_CELL:
        _copy_rows(count, n, Matrix(data, before + size, n, 1), Matrix(c0, first * n, n, 1))
    for k in range(t):
        for part in range(n_weight_gates(cell)):
            gate, of_inputs = _gate_of(cell, part), Matrix(data, part * size, n, 1)
            _start_gates(part, cell, k, first, count, t, p, n, X, panels_of_W, b, gates, of_inputs)
            made, given, B = Matrix(data, gate * size, n, 1), Matrix(data, before, n, 1), _part_of(U, part, n, n)
            if gate > part:  # it has a bias of its own
                _copy_rows(count, n, made, Matrix(b, gate * n, 0, 1))
            _multiply(count, n, made, given, transposed(B), _panels_of(panels, part, cell))
        step_forward(cell, data, 0, before, before + size, behind, behind + size, tanh_cells, size)
        before, behind = behind, before
        _copy_rows(count, n, _step(h, k, first, t, n), Matrix(data, before, n, 1))
        if cell == LSTM_CELL:
            _copy_rows(count, n, _step(c, k, first, t, n), Matrix(data, before + size, n, 1))
        if each > 1:
            for gate in range(each):
                kept = moved(_step(gates, k, first, t, each * n), gate * n)
                _copy_rows(count, n, kept, Matrix(data, gate * size, n, 1))
    give_back(piece)


@routine
def _forward(cell, m, t, p, n, X, W, U, b, h0, c0, h, c, gates):
    """What is no LSTM has no c; without gates, h is there for them."""
    rows, kept, is_shared = n_weight_gates(cell) * n, n_gates(cell) * n, _is_shared(cell, m, t, n)
    size, size_of_W = _size_of_panels(cell, m, t, n, n, h), _size_of_panels(cell, m, t, n, p, h)
    piece = take((size + size_of_W) * h.itemsize)
    panels, panels_of_W = numbers_in(piece, h, 0, size), numbers_in(piece, h, size, size_of_W)
    if size_of_W == 0:
        product(m * t, rows, p, Matrix(gates, 0, kept, 1), Matrix(X, 0, p, 1), Matrix(W, 0, 1, p), Matrix(b, 0, 0, 1))
    for part in range(n_weight_gates(cell)):
        if size > 0:
            pack_panels(n, n, is_shared, _panels_of(panels, part, cell), transposed(_part_of(U, part, n, n)))
        if size_of_W > 0:
            pack_panels(n, p, is_shared, _panels_of(panels_of_W, part, cell), transposed(_part_of(W, part, n, p)))
    samples = _samples_of_task(m, is_shared)
    arguments = cell, m, t, p, n, samples, X, U, panels_of_W, panels, b, h0, c0, h, c, gates
    run_tasks(n_blocks(m, samples), is_shared, _forward_task, arguments)
    give_back(piece)


@routine
def _backward_task(task, cell, m, t, n, samples, U, panels, dh, dc, h0, c0, h, c, gates, states_before, dZ, dh0, dc0):
    """Back through all steps of some samples: dZ of their gates, and the states before each step, for dU."""
    first, last = bounds(task, m, samples)
    count, each = last - first, n_gates(cell)
    size = count * n
    state, cells, tanh_cells, back, of_cells = (
        each * size,
        (each + 1) * size,
        (each + 2) * size,
        (each + 3) * size,
        (each + 4) * size,
    )
    numbers = (each + 5) * size
    piece = take(numbers * h.itemsize)
    data = numbers_in(piece, h, 0, numbers)
    clear(vector(data, back, size))
    d = Matrix(data, back, n, 1)
    if cell == LSTM_CELL:
        _copy_rows(count, n, Matrix(data, of_cells, n, 1), Matrix(dc, first * n, n, 1))
    for k in range(t - 1, -1, -1):
        for gate in range(each):
            kept = moved(_step(gates, k, first, t, each * n), gate * n)
            _copy_rows(count, n, Matrix(data, gate * size, n, 1), kept)
        before = _states_before(h0, h, k, first, t, n)
        _copy_rows(count, n, Matrix(data, state, n, 1), before)
        _copy_rows(count, n, _step(states_before, k, first, t, n), before)
        if cell == LSTM_CELL:
            _copy_rows(count, n, Matrix(data, cells, n, 1), _states_before(c0, c, k, first, t, n))
            _copy_rows(count, n, Matrix(data, tanh_cells, n, 1), _step(c, k, first, t, n))
            tanh_c = vector(data, tanh_cells, size)
            map_numbers(tanh_of, tanh_c, (tanh_c,), ())
        _add_rows(count, n, d, _step(dh, k, first, t, n))
        # A plain unit's h is where gates are.
        step_backward(cell, data, 0, state, cells, 0, tanh_cells, back, of_cells, size)
        for gate in range(each):
            made = moved(_step(dZ, k, first, t, each * n), gate * n)
            _copy_rows(count, n, made, Matrix(data, gate * size, n, 1))
        if cell != GRU_CELL:  # of which a share goes to the state before as it is
            clear(vector(data, back, size))
        for part in range(n_weight_gates(cell)):
            of_gate = Matrix(data, _gate_of(cell, part) * size, n, 1)
            _multiply(count, n, d, of_gate, _part_of(U, part, n, n), _panels_of(panels, part, cell))
    _copy_rows(count, n, Matrix(dh0, first * n, n, 1), d)
    if cell == LSTM_CELL:
        _copy_rows(count, n, Matrix(dc0, first * n, n, 1), Matrix(data, of_cells, n, 1))
    give_back(piece)


@routine
def _backward(cell, m, t, p, n, dh, dc, X, W, U, h0, c0, h, c, gates, dW, dU, db, dX, dh0, dc0):
    """As in `_forward`, without an LSTM's c dc is dh0."""
    rows, kept, is_shared = n_weight_gates(cell) * n, n_gates(cell) * n, _is_shared(cell, m, t, n)
    size = _size_of_panels(cell, m, t, n, n, h)
    piece = take((size + m * t * (kept + n)) * h.itemsize)
    panels, dZ = numbers_in(piece, h, 0, size), numbers_in(piece, h, size, m * t * kept)
    states_before = numbers_in(piece, h, size + m * t * kept, m * t * n)
    if size > 0:
        for part in range(n_weight_gates(cell)):
            pack_panels(n, n, is_shared, _panels_of(panels, part, cell), _part_of(U, part, n, n))
    samples = _samples_of_task(m, is_shared)
    arguments = cell, m, t, n, samples, U, panels, dh, dc, h0, c0, h, c, gates, states_before, dZ, dh0, dc0
    run_tasks(n_blocks(m, samples), is_shared, _backward_task, arguments)

    steps, of_gates, biases = m * t, Matrix(dZ, 0, kept, 1), Matrix(db, 0, 1, 1)
    before, of_state = Matrix(states_before, 0, n, 1), Matrix(dU, 0, n, 1)
    inputs, of_inputs = Matrix(X, 0, p, 1), Matrix(dX, 0, p, 1)
    backward(steps, rows, p, of_gates, inputs, Matrix(W, 0, p, 1), Matrix(dW, 0, p, 1), biases, of_inputs)
    if cell == GRU_CELL:  # the part of its candidate that comes from the state is apart
        sum_over_samples(steps, n, moved(of_gates, rows), moved(biases, rows))
        product_alone(2 * n, n, steps, of_state, transposed(of_gates), before)
        product_alone(n, n, steps, moved(of_state, 2 * n * n), transposed(moved(of_gates, rows)), before)
    else:
        product_alone(rows, n, steps, of_state, transposed(of_gates), before)
    give_back(piece)


@kernel
def recurrent_forward(X, W, U, b, h0, relu, h):
    """h[t] = g(W x[t] + U h[t-1] + b), for X (m, t, p), W (n, p), U (n, n), b (n,), h0 (m, n) and h (m, t, n).

    g is max(0, z) if `relu`, else tanh.
    """
    (m, t, p), states, first = X.shape, flat(h), flat(h0)
    cell = RELU_CELL if relu else TANH_CELL
    _forward(cell, m, t, p, h.shape[2], flat(X), flat(W), flat(U), flat(b), first, first, states, states, states)


@kernel
def recurrent_backward(dh, X, W, U, h0, h, relu, dW, dU, db, dX, dh0):
    """dW, dU, db, dX and dh0, as W, U, b, X and h0, from dh (m, t, n) and h as `recurrent_forward` leaves it."""
    (m, t, p), states, first, back = X.shape, flat(h), flat(h0), flat(dh0)
    cell = RELU_CELL if relu else TANH_CELL
    _backward(
        cell, m, t, p, h.shape[2], flat(dh), back, flat(X), flat(W), flat(U), first, first, states, states, states,
        flat(dW), flat(dU), flat(db), flat(dX), back, back,
    )  # fmt: skip


@kernel
def lstm_forward(X, W, U, b, h0, c0, h, c, gates):
    """i, f, g, o = sigma, sigma, tanh, sigma of W x[t] + U h[t-1] + b; c[t] = f c[t-1] + i g; h[t] = o tanh(c[t]).

    X (m, t, p), W (4 n, p), U (4 n, n), b (4 n,), h0 and c0 (m, n); h and c (m, t, n) and gates (m, t, 4 n) are
    written.
    """
    m, t, p = X.shape
    _forward(
        LSTM_CELL, m, t, p, h.shape[2], flat(X), flat(W), flat(U), flat(b), flat(h0), flat(c0), flat(h), flat(c),
        flat(gates),
    )  # fmt: skip


@kernel
def lstm_backward(dh, dc, X, W, U, h0, c0, h, c, gates, dW, dU, db, dX, dh0, dc0):
    """dW, dU, db, dX, dh0 and dc0, as W, U, b, X, h0 and c0, from dh (m, t, n), and dc (m, n) of the last step's c.

    h, c (m, t, n) and gates (m, t, 4 n) are as `lstm_forward` leaves them.
    """
    m, t, p = X.shape
    _backward(
        LSTM_CELL, m, t, p, h.shape[2], flat(dh), flat(dc), flat(X), flat(W), flat(U), flat(h0), flat(c0), flat(h),
        flat(c), flat(gates), flat(dW), flat(dU), flat(db), flat(dX), flat(dh0), flat(dc0),
    )  # fmt: skip


@kernel
def gru_forward(X, W, U, b, h0, h, gates):
    """r, z = sigma of W x[t] + U h[t-1] + b; q = U_n h[t-1] + b_q; n = tanh(W_n x[t] + b_n + r q); h[t] follows.

    h[t] = (1 - z) n + z h[t-1]. X (m, t, p), W (3 n, p) and U (3 n, n) for r, z and the candidate n, b (4 n,) for r, z,
    n and q, h0 (m, n); h (m, t, n) and gates (m, t, 4 n), which are r, z, n and q, are written.
    """
    (m, t, p), states, first = X.shape, flat(h), flat(h0)
    _forward(
        GRU_CELL, m, t, p, h.shape[2], flat(X), flat(W), flat(U), flat(b), first, first, states, states, flat(gates)
    )


@kernel
def gru_backward(dh, X, W, U, h0, h, gates, dW, dU, db, dX, dh0):
    """dW, dU, db, dX and dh0, as W, U, b, X and h0, from dh (m, t, n).

    h (m, t, n) and gates (m, t, 4 n) are as `gru_forward` leaves them.
    """
    (m, t, p), states, first, back = X.shape, flat(h), flat(h0), flat(dh0)
    _backward(
        GRU_CELL, m, t, p, h.shape[2], flat(dh), back, flat(X), flat(W), flat(U), first, first, states, states,
        flat(gates), flat(dW), flat(dU), flat(db), flat(dX), back, back,
    )  # fmt: skip
