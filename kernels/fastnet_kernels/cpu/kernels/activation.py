"""The activations and their derivatives as public kernels, on (m, n) matrices of any strides."""

from ...codes import (
    ELU,
    GELU,
    HARD_SIGMOID,
    HARD_SILU,
    LEAKY_RELU,
    LINEAR,
    RELU,
    SIGMOID,
    SILU,
    SOFTPLUS,
    TANH,
)
from ..codegen.compiling import routine
from ..codegen.kernel import kernel
from ..codegen.matrix import as_matrix, row_of
from ..codegen.scratch import give_back, take
from ..codegen.tasks import run_tasks
from ..layers.softmax import softmax_columns, softmax_of_one
from ..partition import bounds, worth_threads
from .element_wise import apply_to_matrix
from .samples import (
    are_long_rows,
    block_in,
    n_sample_tasks,
    read_samples,
    samples_of_task,
    samples_together,
    write_samples,
)


@kernel
def linear(Z, A):
    """A = Z; both (m, n)."""
    m, n = Z.shape
    apply_to_matrix(False, LINEAR, 0.0, m, n, as_matrix(Z), as_matrix(Z), as_matrix(A))


@kernel
def linear_backward(dA, A, dZ):
    """dZ = dA; all (m, n)."""
    m, n = dA.shape
    apply_to_matrix(True, LINEAR, 0.0, m, n, as_matrix(dA), as_matrix(A), as_matrix(dZ))


@kernel
def sigmoid(Z, A):
    """A = 1 / (1 + exp(-Z)); both (m, n). Exact for any finite Z, and for infinite ones."""
    m, n = Z.shape
    apply_to_matrix(False, SIGMOID, 0.0, m, n, as_matrix(Z), as_matrix(Z), as_matrix(A))


@kernel
def sigmoid_backward(dA, A, dZ):
    """dZ = dA * A * (1 - A); all (m, n)."""
    m, n = dA.shape
    apply_to_matrix(True, SIGMOID, 0.0, m, n, as_matrix(dA), as_matrix(A), as_matrix(dZ))


@kernel
def tanh(Z, A):
    """A = tanh(Z); both (m, n)."""
    m, n = Z.shape
    apply_to_matrix(False, TANH, 0.0, m, n, as_matrix(Z), as_matrix(Z), as_matrix(A))


@kernel
def tanh_backward(dA, A, dZ):
    """dZ = dA * (1 - A^2); all (m, n)."""
    m, n = dA.shape
    apply_to_matrix(True, TANH, 0.0, m, n, as_matrix(dA), as_matrix(A), as_matrix(dZ))


@kernel
def relu(Z, A):
    """A = max(0, Z); both (m, n). NaN stays NaN."""
    m, n = Z.shape
    apply_to_matrix(False, RELU, 0.0, m, n, as_matrix(Z), as_matrix(Z), as_matrix(A))


@kernel
def relu_backward(dA, A, dZ):
    """dZ = dA where A > 0, else 0; all (m, n)."""
    m, n = dA.shape
    apply_to_matrix(True, RELU, 0.0, m, n, as_matrix(dA), as_matrix(A), as_matrix(dZ))


@kernel
def leaky_relu(Z, slope, A):
    """A = Z where Z > 0, else slope * Z, for a slope >= 0; Z and A (m, n)."""
    m, n = Z.shape
    apply_to_matrix(False, LEAKY_RELU, slope, m, n, as_matrix(Z), as_matrix(Z), as_matrix(A))


@kernel
def leaky_relu_backward(dA, A, slope, dZ):
    """dZ = dA where A > 0, else slope * dA, for a slope >= 0; dA, A and dZ (m, n)."""
    m, n = dA.shape
    apply_to_matrix(True, LEAKY_RELU, slope, m, n, as_matrix(dA), as_matrix(A), as_matrix(dZ))


@kernel
def elu(Z, alpha, A):
    """A = Z where Z > 0, else alpha * (exp(Z) - 1), for an alpha >= 0; Z and A (m, n)."""
    m, n = Z.shape
    apply_to_matrix(False, ELU, alpha, m, n, as_matrix(Z), as_matrix(Z), as_matrix(A))


@kernel
def elu_backward(dA, Z, alpha, dZ):
    """dZ = dA where Z > 0, else dA * alpha * exp(Z); dA, Z and dZ (m, n)."""
    m, n = dA.shape
    apply_to_matrix(True, ELU, alpha, m, n, as_matrix(dA), as_matrix(Z), as_matrix(dZ))


@kernel
def softplus(Z, A):
    """A = log(1 + exp(Z)); both (m, n)."""
    m, n = Z.shape
    apply_to_matrix(False, SOFTPLUS, 0.0, m, n, as_matrix(Z), as_matrix(Z), as_matrix(A))


@kernel
def softplus_backward(dA, Z, dZ):
    """dZ = dA * sigmoid(Z); all (m, n)."""
    m, n = dA.shape
    apply_to_matrix(True, SOFTPLUS, 0.0, m, n, as_matrix(dA), as_matrix(Z), as_matrix(dZ))


@kernel
def silu(Z, A):
    """A = Z * sigmoid(Z); both (m, n)."""
    m, n = Z.shape
    apply_to_matrix(False, SILU, 0.0, m, n, as_matrix(Z), as_matrix(Z), as_matrix(A))


@kernel
def silu_backward(dA, Z, dZ):
    """dZ = dA * S * (1 + Z * (1 - S)), with S = sigmoid(Z); all (m, n)."""
    m, n = dA.shape
    apply_to_matrix(True, SILU, 0.0, m, n, as_matrix(dA), as_matrix(Z), as_matrix(dZ))


@kernel
def gelu(Z, A):
    """A = Z * P(Z), with P the normal distribution function; both (m, n)."""
    m, n = Z.shape
    apply_to_matrix(False, GELU, 0.0, m, n, as_matrix(Z), as_matrix(Z), as_matrix(A))


@kernel
def gelu_backward(dA, Z, dZ):
    """dZ = dA * (P(Z) + Z * p(Z)), with P the normal distribution function and p its density; all (m, n)."""
    m, n = dA.shape
    apply_to_matrix(True, GELU, 0.0, m, n, as_matrix(dA), as_matrix(Z), as_matrix(dZ))


@kernel
def hard_sigmoid(Z, A):
    """A = Z / 6 + 1/2 between 0 and 1; both (m, n)."""
    m, n = Z.shape
    apply_to_matrix(False, HARD_SIGMOID, 0.0, m, n, as_matrix(Z), as_matrix(Z), as_matrix(A))


@kernel
def hard_sigmoid_backward(dA, A, dZ):
    """dZ = dA / 6 where 0 < A < 1, else 0; all (m, n)."""
    m, n = dA.shape
    apply_to_matrix(True, HARD_SIGMOID, 0.0, m, n, as_matrix(dA), as_matrix(A), as_matrix(dZ))


@kernel
def hard_silu(Z, A):
    """A = Z * hard_sigmoid(Z); both (m, n)."""
    m, n = Z.shape
    apply_to_matrix(False, HARD_SILU, 0.0, m, n, as_matrix(Z), as_matrix(Z), as_matrix(A))


@kernel
def hard_silu_backward(dA, Z, dZ):
    """dZ = dA where Z >= 3, 0 where Z <= -3, else dA * (Z / 3 + 1/2); all (m, n)."""
    m, n = dA.shape
    apply_to_matrix(True, HARD_SILU, 0.0, m, n, as_matrix(dA), as_matrix(Z), as_matrix(dZ))


@routine
def _softmax_task(task, m, n, is_long, Z, A):
    first, last = bounds(task, m, samples_of_task(is_long, m, n, Z.data))
    if is_long:
        for i in range(first, last):
            softmax_of_one(row_of(Z, i, 0, n), row_of(A, i, 0, n))
        return
    size = samples_together(m, n, Z.data)
    piece = take(n * size * Z.data.itemsize)
    block = block_in(piece, Z.data, 0, n, size)
    read_samples(Z, first, last - first, block)
    softmax_columns(block)
    write_samples(block, A, first, last - first)
    give_back(piece)


@routine
def _softmax(m, n, Z, A):
    if n == 0:
        return
    is_long = are_long_rows(n, Z) and are_long_rows(n, A)
    count = n_sample_tasks(m, n, is_long, Z.data)
    run_tasks(count, worth_threads(m * n * Z.data.itemsize, 5), _softmax_task, (m, n, is_long, Z, A))


@kernel
def softmax(Z, A):
    """A[i] = exp(Z[i]) / sum(exp(Z[i])), each row for itself; both (m, n).

    The largest numbers of A are those of Z, and no others, also where rounding would make others the same.
    """
    m, n = Z.shape
    _softmax(m, n, as_matrix(Z), as_matrix(A))
