"""The products of a plan that cuBLAS makes: which matrices they are of."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from fastnet_kernels import codes

from .plan import GPUPlan


@dataclass(frozen=True)
class Calls:
    """Calls of the library, in one run of a plan."""

    cublas: Any
    stream: Any
    plan: GPUPlan
    parameters: Any
    gradients: Any
    workspace: Any
    m_all: int
    batch_size: int
    repeats: bool  # whether every step has the same samples, which stay in one place

    def __call__(self, instruction: np.ndarray, step: int) -> None:
        """Z = A_prev W^T (or A, where the instruction says so), or dA_prev = dZ W, or dW = dZ^T A_prev."""
        from fastnet_kernels.cuda.gemm.cublas import Matrix

        role, l, makes_a = instruction[[codes.ROLE, codes.LAYER, codes.FUSES_OUTPUT]].tolist()
        layer, last = self.plan.layers[l].tolist(), len(self.plan.layers) - 1
        n, n_in, stride = layer[codes.N_OUT], layer[codes.N_IN], layer[codes.LDW]
        steps = -(-self.m_all // self.batch_size)
        m = min(self.batch_size, self.m_all - step % steps * self.batch_size)
        # A matrix of the workspace by its rows, and its transpose.
        A_prev = Matrix(self.workspace, self._inputs(l, step), n_in, 1)
        dZ = Matrix(self.workspace, layer[codes.DZ_OFFSET], n, 1)
        if role == codes.FORWARD:
            W = Matrix(self.parameters, layer[codes.W_OFFSET], stride, 1)
            Z = Matrix(self.workspace, layer[codes.A_OFFSET], n, 1)
            b = Matrix(self.parameters, layer[codes.B_OFFSET], 1, 1) if makes_a else None
            relu = layer[codes.ACTIVATION] == codes.RELU and l < last
            self.cublas.multiply(self.stream, m, n, n_in, A_prev, W, Z, b, relu=relu)
        elif role == codes.BACKWARD:
            W_transposed = Matrix(self.parameters, layer[codes.W_OFFSET], 1, stride)
            dA_prev = Matrix(self.workspace, int(self.plan.layers[layer[codes.BELOW], codes.DZ_OFFSET]), n_in, 1)
            self.cublas.multiply(self.stream, m, n_in, n, dZ, W_transposed, dA_prev)
        else:
            dW = Matrix(self.gradients, layer[codes.W_OFFSET], stride, 1)
            self.cublas.multiply(self.stream, n, n_in, m, _transposed(dZ), _transposed(A_prev), dW)

    def _inputs(self, l: int, step: int) -> int:
        """Where the numbers are that layer l reads."""
        below = int(self.plan.layers[l, codes.BELOW])
        if below >= 0:
            return int(self.plan.layers[below, codes.A_OFFSET])
        start, size = self.plan.whole[[codes.X_OFFSET, codes.X_SIZE]].tolist()
        return int(start if self.repeats else start + step % 2 * size)


def _transposed(matrix: Any) -> Any:
    return matrix._replace(row=matrix.column, column=matrix.row)
