"""A line of memory that two threads pass to and fro, which tells how near their cores are."""

import numpy as np
from llvmlite import ir
from numba import prange
from numba.core import types
from numba.extending import intrinsic

from .codegen.compiling import parallel
from .codegen.simd import Buffer


@intrinsic
def _read(typing_context, line):
    """The line's first number, as another thread may just have written it."""

    def generate(context, builder, signature, arguments):
        source = Buffer(context, builder, line, arguments[0])
        return builder.load_atomic(source.at(ir.IntType(64)(0)), "acquire", 8)

    return types.int64(line), generate


@intrinsic
def _write(typing_context, line, number):
    """Write the line's first number, for another thread to read."""

    def generate(context, builder, signature, arguments):
        target = Buffer(context, builder, line, arguments[0])
        builder.store_atomic(arguments[1], target.at(ir.IntType(64)(0)), "release", 8)
        return context.get_dummy_value()

    return types.void(line, types.int64), generate


@parallel
def pass_to_and_fro(line, rounds, patience, passed):
    """Two threads count line[0] up from 0 in turn, `rounds` times each; passed[t] = how often thread t could.

    A thread looks `patience` times for the other's number, and gives up then: it may not be running.
    """
    for thread in prange(2):
        count, number = 0, np.int64(thread)
        while count < rounds:
            looks = 0
            while _read(line) != number and looks < patience:
                looks += 1
            if looks == patience:
                break
            _write(line, number + 1)
            number += 2
            count += 1
        passed[thread] = count
