"""Large products by cuBLASLt, NVIDIA's library, called on the host: on a stream, between two launches of kernels.

float32 stays float32: tensor cores, which would round each factor to 11 bits (TF32), are for those who set
FASTNET_TF32=1 in the environment. float64 is float64 on tensor cores as well.
"""

import importlib.util
import math
import os
from typing import NamedTuple

import numpy as np

from ..codegen.compiling import cuda
from ..codegen.launching import handle_of
from ..target import IS_SIMULATED

_SCRATCH_BYTES = 1 << 25


_ALIGNMENT = 256  # bytes: the most that the library makes use of


# Multiply-adds of a multiprocessor in a cycle: of float32, of TF32, of float64.
_FLOAT32, _TF32, _FLOAT64 = 128, 512, 64


class Matrix(NamedTuple):
    """Numbers inside a buffer on the GPU: of row i and column k at offset + i * row + k * column; either step is 1."""

    buffer: object
    offset: int
    row: int
    column: int

    @property
    def address(self):
        size = self.buffer.dtype.itemsize
        return self.buffer.__cuda_array_interface__["data"][0] + self.offset * size


def find(dtype):
    """The library for one dtype; None where nvmath-python or cuBLAS is not installed."""
    if IS_SIMULATED or importlib.util.find_spec("nvmath") is None:
        return None
    try:
        return CublasLt(np.dtype(dtype))
    except Exception as error:
        # Where cuBLAS is missing, or is one of another CUDA, these raise several exceptions of their own.
        if type(error).__module__.startswith(("nvmath.", "cuda.")):
            return None
        raise


def _write(set_attribute, thing, attribute, kind_of, value):
    """Set an attribute of one of the library's things, in the kind of number that it is."""
    number = np.array([value], kind_of(attribute))
    set_attribute(thing, attribute, number.ctypes.data, number.nbytes)


class CublasLt:
    """cuBLASLt for one dtype and the current GPU. What it is told of a product's shape is kept for the next one."""

    def __init__(self, dtype):
        from nvmath import CudaDataType
        from nvmath.bindings import cublas, cublasLt

        self.dtype, self._lt = dtype, cublasLt
        kinds, ways = CudaDataType, cublas.ComputeType
        if dtype == np.float64:
            self._kind, self._way, self.rate = kinds.CUDA_R_64F, ways.COMPUTE_64F, _FLOAT64
        elif os.environ.get("FASTNET_TF32") == "1":
            self._kind, self._way, self.rate = kinds.CUDA_R_32F, ways.COMPUTE_32F_FAST_TF32, _TF32
        else:
            self._kind, self._way, self.rate = kinds.CUDA_R_32F, ways.COMPUTE_32F, _FLOAT32
        self._handle = cublasLt.create()
        self._scratch = cuda.device_array(_SCRATCH_BYTES, np.uint8)
        self._one, self._zero = np.ones(1, dtype), np.zeros(1, dtype)
        self._known = {}

    def multiply(self, stream, m, n, depth, P, Q, C, bias=None, *, relu=False):
        """C = P Q^T for P (m, depth), Q (n, depth) and C (m, n), each a `Matrix` of float numbers; C's `column` is 1.

        With `bias`, a Matrix of one column (n,), C = g(P Q^T + bias), g the identity or ReLU. It is done in the order
        of the stream, and nothing waits for it.
        """
        # The library's matrices have their columns side by side: to it, C^T = Q P^T is what is asked for.
        epilogue = "DEFAULT" if bias is None else "RELU_BIAS" if relu else "BIAS"
        addresses = [matrix.address for matrix in (Q, P, C)]
        alignments = tuple(math.gcd(address, _ALIGNMENT) for address in addresses)
        key = m, n, depth, epilogue, *(step for matrix in (Q, P, C) for step in matrix[2:]), alignments
        if key not in self._known:
            description, layouts = self.describe(m, n, depth, P, Q, C, epilogue)
            if bias is not None:
                self._set(description, "BIAS_POINTER", bias.address)
            self._known[key] = description, layouts, *self._fastest(description, layouts, alignments)
        description, (of_q, of_p, of_c), algorithm, scratch_bytes = self._known[key]
        if bias is not None:
            self._set(description, "BIAS_POINTER", bias.address)
        q, p, c = addresses
        self._lt.matmul(
            self._handle, description, self._one.ctypes.data, q, of_q, p, of_p, self._zero.ctypes.data, c, of_c, c,
            of_c, algorithm.ctypes.data, Matrix(self._scratch, 0, 1, 1).address, scratch_bytes, handle_of(stream),
        )  # fmt: skip

    def _set(self, description, name, value):
        lt, attribute = self._lt, self._lt.MatmulDescAttribute[name]
        _write(lt.matmul_desc_set_attribute, description, attribute, lt.get_matmul_desc_attribute_dtype, value)

    def describe(self, m, n, depth, P, Q, C, epilogue):
        """What the library is told of a product: a description, and layouts of Q, P and C."""
        description, create = self._lt.matmul_desc_create(self._way, self._kind), self._lt.matrix_layout_create
        # Where a row's numbers lie side by side, that is a column to the library. It wants Q (n, depth), so that this
        # one is to be transposed, and P (depth, m).
        self._set(description, "TRANSA", int(Q.column == 1))
        self._set(description, "TRANSB", int(P.column != 1))
        layouts = [
            create(self._kind, depth, count, matrix.row)
            if matrix.column == 1
            else create(self._kind, count, depth, matrix.column)
            for matrix, count in ((Q, n), (P, m))
        ]
        layouts.append(create(self._kind, n, m, C.row))
        self._set(description, "EPILOGUE", self._lt.Epilogue[epilogue])
        return description, layouts

    def _fastest(self, description, layouts, alignments):
        """The way that the library holds for the fastest, and how many bytes of scratch it needs."""
        lt, preference = self._lt, self._lt.matmul_preference_create()
        limits = {"MAX_WORKSPACE_BYTES": _SCRATCH_BYTES}
        limits |= dict(zip((f"MIN_ALIGNMENT_{x}_BYTES" for x in "ABCD"), (*alignments, alignments[2]), strict=True))
        for name, value in limits.items():
            attribute, kind_of = lt.MatmulPreferenceAttribute[name], lt.get_matmul_preference_attribute_dtype
            _write(lt.matmul_preference_set_attribute, preference, attribute, kind_of, value)
        found, count = np.zeros(1, lt.matmul_heuristic_result_dtype), np.zeros(1, np.int32)
        of_q, of_p, of_c = layouts
        lt.matmul_algo_get_heuristic(
            self._handle, description, of_q, of_p, of_c, of_c, preference, 1, found.ctypes.data, count.ctypes.data
        )
        lt.matmul_preference_destroy(preference)
        if count[0] == 0:
            raise RuntimeError(f"cuBLASLt knows no way to make a product of this shape in {self.dtype}")
        return found["algo"].copy(), int(found["workspace_size"][0])
