"""Loops that do nothing but what bounds all others: multiply-adds in registers, and copying memory.

What they reach is this machine's limit, measured beside whatever is held against it.
"""

from llvmlite import ir
from numba import prange
from numba.core import cgutils, types
from numba.extending import intrinsic

from .codegen.compiling import parallel
from .codegen.processor import TARGET, VECTOR_BYTES
from .codegen.simd import fused_multiply_add
from .partition import bounds, n_blocks

CHAINS = TARGET.fma_chains
_COPIED = TARGET.copied_numbers


@intrinsic
def _multiply_add_chains(typing_context, numbers, steps):
    """CHAINS vectors, each `steps` times v = a v + b; the sum of all lanes, so that none is left out."""

    def generate(context, builder, signature, arguments):
        array_type = signature.args[0]
        size = array_type.dtype.bitwidth // 8
        element, lanes = context.get_value_type(array_type.dtype), VECTOR_BYTES // size
        vector = ir.VectorType(element, lanes)
        array = context.make_array(array_type)(context, builder, arguments[0])
        pointer = builder.bitcast(array.data, vector.as_pointer())
        a, b = (builder.load(builder.gep(pointer, [ir.IntType(32)(i)]), align=size) for i in range(2))
        chains = [
            cgutils.alloca_once_value(builder, builder.fmul(a, vector([element(i + 1)] * lanes))) for i in range(CHAINS)
        ]
        with cgutils.for_range(builder, arguments[1]):
            for chain in chains:
                builder.store(fused_multiply_add(builder, builder.load(chain), a, b), chain)
        total = builder.load(chains[0])
        for chain in chains[1:]:
            total = builder.fadd(total, builder.load(chain))
        result = element(0)
        for lane in range(lanes):
            result = builder.fadd(result, builder.extract_element(total, ir.IntType(32)(lane)))
        return result

    return numbers.dtype(numbers, types.intp), generate


@parallel
def multiply_add(numbers, steps, sums):
    """On each of sums.size tasks, `steps` times CHAINS * VECTOR_BYTES / itemsize fused multiply-adds.

    `numbers` holds two vectors, (2 * VECTOR_BYTES / itemsize,): the factor and the summand.
    """
    for task in prange(sums.size):
        sums[task] = _multiply_add_chains(numbers, steps)


@parallel
def copy(source, target):
    """target = source, both (n,)."""
    n = source.size
    for block in prange(n_blocks(n, _COPIED)):
        first, last = bounds(block, n, _COPIED)
        # Slices, so that indices start at 0: where one might be negative, LLVM does not vectorise the loop.
        read, written = source[first:last], target[first:last]
        for i in range(written.size):
            written[i] = read[i]
