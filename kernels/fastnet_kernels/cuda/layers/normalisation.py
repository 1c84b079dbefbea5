"""What both normalisations share: A = gamma * X + beta, with X = (A_prev - mean) * inv_std.

inv_std is 1 / sqrt(variance + epsilon).
"""

from ..codegen.compiling import formula, inner
from ..program.reducing import sum_over_column
from ..target import ROWS_AT_ONCE


@formula
def normalised(x, mean, inv_std, gamma, beta):
    """One number of A."""
    return gamma * (x - mean) * inv_std + beta


@inner
def sums_of_column_back(dA, da, A, a, m, n, j, first, means, mean, inv_stds, inv_std, step, shared):
    """dgamma and dbeta of unit j, the sums over samples of dA X and of dA; to all threads of the column.

    dA and A_prev (m, n) begin at offsets da and a. `mean` and `inv_std` are offsets of the first sample's, those of the
    next ones are `step` apart: 0 for a batch normalisation, 1 for a layer normalisation.
    """
    weighted, plain = A.dtype.type(0), A.dtype.type(0)
    for i in range(first, m, ROWS_AT_ONCE):
        d = dA[da + i * n + j]
        weighted += d * (A[a + i * n + j] - means[mean + i * step]) * inv_stds[inv_std + i * step]
        plain += d
    return sum_over_column(weighted, shared), sum_over_column(plain, shared)
