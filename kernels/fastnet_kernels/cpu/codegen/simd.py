"""Vector instructions inside generated code, as LLVM IR: broadcast, masks, fused multiply-adds, transposes, prefetches.

LLVM's own vectoriser would choose half-width vectors on AVX-512 machines and spill the sums; vectors that are written
out are legalised on any machine. `Buffer` is an array argument of such code, `Operand` a `Matrix` or `Rows`.
"""

import platform

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from .processor import VECTOR_BYTES

_VECTOR_REGISTER = "w" if platform.machine() in ("aarch64", "arm64") else "v"  # as inline assembly names it


_NAMES = {ir.FloatType(): "f32", ir.DoubleType(): "f64", ir.IntType(8): "i8"}


def suffix(vector):
    """How LLVM names a type in its functions: v16f32."""
    return f"v{vector.count}{_NAMES[vector.element]}"


def broadcast(builder, vector, number):
    """A vector whose lanes are all `number`."""
    undefined, index = ir.Constant(vector, ir.Undefined), ir.IntType(32)
    one = builder.insert_element(undefined, number, index(0))
    return builder.shuffle_vector(one, undefined, ir.Constant(ir.VectorType(index, vector.count), None))


def first_lanes(builder, vector, count):
    """A mask of a vector's first `count` lanes."""
    numbers = ir.VectorType(ir.IntType(32), vector.count)
    limit = broadcast(builder, numbers, builder.trunc(count, ir.IntType(32)))
    return builder.icmp_signed("<", ir.Constant(numbers, list(range(vector.count))), limit)


def fused_multiply_add(builder, a, b, c):
    """a * b + c of three vectors, rounded once. `declare_intrinsic` would refuse their type."""
    kind = ir.FunctionType(a.type, [a.type] * 3)
    fma = cgutils.get_or_insert_function(builder.module, kind, f"llvm.fma.{suffix(a.type)}")
    return builder.call(fma, [a, b, c])


def sums_of_lanes(builder, vectors):
    """The sum of the lanes of each vector, as a list of numbers.

    Two vectors at a time become one that has half as many summands of each, until one lane is left of each.
    """
    lanes, index, sums = vectors[0].type.count, ir.IntType(32), []
    for first in range(0, len(vectors), lanes):
        some = vectors[first : first + lanes]
        count, left = len(some), lanes // 2
        while left:
            halves = [[lane for lane in range(2 * lanes) if lane // left % 2 == half] for half in (0, 1)]
            masks = [ir.Constant(ir.VectorType(index, lanes), half) for half in halves]
            pairs = zip(some[::2], [*some[1::2], some[-1]], strict=False)
            some = [builder.fadd(*(builder.shuffle_vector(a, b, mask) for mask in masks)) for a, b in pairs]
            left //= 2
        sums += [builder.extract_element(some[0], index(offset)) for offset in range(count)]
    return sums


def transposed(builder, vectors):
    """The transposed matrix of as many vectors as they have lanes."""
    lanes = vectors[0].type.count
    # Interleaving vectors i and i + lanes / 2, log2(lanes) times over, is a transposition.
    lanes_of_both = [offset for pair in zip(range(lanes), range(lanes, 2 * lanes), strict=True) for offset in pair]
    halves = [ir.Constant(ir.VectorType(ir.IntType(32), lanes), lanes_of_both[i : i + lanes]) for i in (0, lanes)]
    for _ in range(lanes.bit_length() - 1):
        pairs = zip(vectors[: lanes // 2], vectors[lanes // 2 :], strict=True)
        vectors = [builder.shuffle_vector(a, b, half) for a, b in pairs for half in halves]
    return vectors


def emit_prefetch(builder, pointer, *, first_cache=True):
    """Prefetch a cache line; any address will do."""
    pointer = builder.bitcast(pointer, ir.IntType(8).as_pointer())
    numbers = [ir.IntType(32)(number) for number in (0, 3 if first_cache else 2, 1)]  # to read, how near, data
    kind = ir.FunctionType(ir.VoidType(), [pointer.type, *(number.type for number in numbers)])
    builder.call(cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0"), [pointer, *numbers])


def opaque(builder, number):
    """A number as it is, but LLVM is not to know where it comes from."""
    return builder.asm(ir.FunctionType(number.type, [number.type]), "", "=r,0", [number], side_effect=False)


def scheduling_barrier(builder, cells):
    """Have the vectors in `cells` before what comes next: else LLVM loads so much first that registers run out."""
    vectors = [builder.load(cell) for cell in cells]
    kind = ir.FunctionType(
        ir.LiteralStructType([vector.type for vector in vectors]), [vector.type for vector in vectors]
    )
    constraints = ",".join(["=" + _VECTOR_REGISTER] * len(cells) + [str(i) for i in range(len(cells))])
    found = builder.asm(kind, "", constraints, vectors, side_effect=True)
    for i, cell in enumerate(cells):
        builder.store(builder.extract_value(found, i), cell)


class Buffer:
    """A Numba array argument inside generated code: its memory, as numbers or vectors from an offset on."""

    def __init__(self, context, builder, array_type, value):
        self.builder = builder
        self.data = context.make_array(array_type)(context, builder, value).data
        self.size = array_type.dtype.bitwidth // 8
        self.element = context.get_value_type(array_type.dtype)
        self.lanes = VECTOR_BYTES // self.size
        self.vector = ir.VectorType(self.element, self.lanes)

    def at(self, *offsets):
        """Pointer to an element, `offsets` from the start, which are added."""
        total = offsets[0]
        for offset in offsets[1:]:
            total = self.builder.add(total, offset)
        return self.builder.gep(self.data, [total])

    def step(self, pointer, by):
        return self.builder.gep(pointer, [by])

    def load(self, pointer):
        return self.builder.load(pointer, align=self.size)

    def store(self, number, pointer):
        self.builder.store(number, pointer, align=self.size)

    def load_vector(self, pointer, mask=None, vector=None):
        """The vector there, of another type if one is given; where a lane is not in the mask, 0 that is not read."""
        vector = vector or self.vector
        pointer = self.builder.bitcast(pointer, vector.as_pointer())
        if mask is None:
            return self.builder.load(pointer, align=self.size)
        arguments = [pointer, ir.IntType(32)(self.size), mask, ir.Constant(vector, None)]
        return self._masked("load", vector, vector, arguments)

    def store_vector(self, numbers, pointer, mask=None):
        pointer = self.builder.bitcast(pointer, self.vector.as_pointer())
        if mask is None:
            self.builder.store(numbers, pointer, align=self.size)
        else:
            self._masked("store", self.vector, ir.VoidType(), [numbers, pointer, ir.IntType(32)(self.size), mask])

    def _masked(self, what, vector, result, arguments):
        kind = ir.FunctionType(result, [argument.type for argument in arguments])
        name = f"llvm.masked.{what}.{suffix(vector)}.p0"
        return self.builder.call(cgutils.get_or_insert_function(self.builder.module, kind, name), arguments)

    def zeros(self, count):
        """Variables for `count` vectors, all zero; LLVM keeps them in registers."""
        cells = [cgutils.alloca_once(self.builder, self.vector) for _ in range(count)]
        for cell in cells:
            self.builder.store(ir.Constant(self.vector, None), cell)
        return cells

    def accumulate(self, cell, a, b):
        self.builder.store(fused_multiply_add(self.builder, a, b, self.builder.load(cell)), cell)


class Operand(Buffer):
    """A `Matrix` or `Rows` argument inside generated code: its buffer, and its other fields by their names."""

    def __init__(self, context, builder, kind, value):
        fields = {name: builder.extract_value(value, i) for i, name in enumerate(kind.fields)}
        super().__init__(context, builder, kind[0], fields.pop("data"))
        vars(self).update(fields)


def _prefetch(buffer, *, first_cache):
    def generate(context, builder, signature, arguments):
        offset = Buffer(context, builder, signature.args[0], arguments[0]).at(arguments[1])
        emit_prefetch(builder, offset, first_cache=first_cache)
        return context.get_dummy_value()

    return types.void(buffer, types.intp), generate


@intrinsic
def prefetch(typing_context, buffer, offset):
    """Prefetch the cache line of buffer[offset], which may lie beyond the end."""
    return _prefetch(buffer, first_cache=True)


@intrinsic
def prefetch_far(typing_context, buffer, offset):
    """Prefetch the cache line of buffer[offset], which may lie beyond the end, into the second-level cache."""
    return _prefetch(buffer, first_cache=False)
