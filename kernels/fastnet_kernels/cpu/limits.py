"""Loops that do nothing but what bounds all others: multiply-adds in registers, and copying memory.

What they reach is this machine's limit, measured beside whatever is held against it.
"""

from llvmlite import ir
from numba import prange
from numba.core import cgutils, types
from numba.extending import intrinsic

from .codegen.arrays import vector
from .codegen.compiling import parallel, routine, serial
from .codegen.elements import same
from .codegen.loops import map_numbers
from .codegen.processor import TARGET, VECTOR_BYTES
from .codegen.simd import fused_multiply_add
from .codegen.tasks import run_tasks
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


@routine
def _copy_task(task, source, target):
    first, last = bounds(task, source.size, _COPIED)
    map_numbers(same, vector(target, first, last - first), (vector(source, first, last - first),), ())


@serial
def copy(source, target):
    """target = source, both (n,)."""
    run_tasks(n_blocks(source.size, _COPIED), True, _copy_task, (source, target))
