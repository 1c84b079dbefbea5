"""The two register tiles that all matrix products are made of: the only code that knows the machine.

A tile of C is kept in vector registers while the sum runs, so that each loaded number is used many times:

    outer_tile   C[i:i+h, j:j+w*LANES]  = sum_k A[i:i+h, k] B[k, j:j+w*LANES]
                 one step of k loads w vectors of B and h single numbers of A, and does h * w vector FMAs
    dot_tile     C[i:i+h, j:j+w]        = sum_k A[i:i+h, k] B[j:j+w, k]
                 one step of LANES k's loads h + w vectors and does h * w vector FMAs; the lanes are added at the end

Both are written as LLVM IR, since LLVM's own vectoriser would choose half-width vectors on AVX-512 machines and spill
the accumulators. The tile heights and widths fit the number of registers; LLVM legalises the vectors on any machine.
There are no partial tiles: a matrix that is not a multiple of the tile ends with a tile that overlaps the one before
and computes some numbers a second time, to the same bits.
"""

import llvmlite.binding
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic


def _machine():
    """Bytes of a vector register, heights of the outer tile (in `w` = 2 vectors) and sides of the dot tile."""
    features = llvmlite.binding.get_host_cpu_features()
    if features.get("avx512f"):
        return 64, (14, 8, 4, 2, 1), (5, 2, 1)  # 32 registers
    if features.get("avx2"):
        return 32, (6, 4, 2, 1), (3, 2, 1)  # 16 registers
    if features.get("neon"):
        return 16, (12, 8, 4, 2, 1), (5, 2, 1)  # 32 registers
    return 16, (6, 4, 2, 1), (3, 2, 1)


VECTOR_BYTES, HEIGHTS, SIDES = _machine()
WIDTHS = (2, 1)  # of the outer tile, in vectors


class _Matrix:
    """A Numba 2-D array argument inside generated code: loads and stores at (row, column)."""

    def __init__(self, context, builder, array_type, value):
        array = context.make_array(array_type)(context, builder, value)
        self.builder = builder
        self.element = context.get_value_type(array_type.dtype)
        self.size = array_type.dtype.bitwidth // 8
        self.lanes = VECTOR_BYTES // self.size
        self.vector = ir.VectorType(self.element, self.lanes)
        self.data = builder.bitcast(array.data, ir.IntType(8).as_pointer())
        self.strides = cgutils.unpack_tuple(builder, array.strides)
        self.shape = cgutils.unpack_tuple(builder, array.shape)

    def pointer(self, row, column, kind):
        builder = self.builder
        offset = builder.add(builder.mul(row, self.strides[0]), builder.mul(column, self.strides[1]))
        return builder.bitcast(builder.gep(self.data, [offset]), kind.as_pointer())

    def load(self, row, column, kind):
        return self.builder.load(self.pointer(row, column, kind), align=self.size)

    def store(self, row, column, value):
        self.builder.store(value, self.pointer(row, column, value.type), align=self.size)

    def broadcast(self, number):
        one = self.builder.insert_element(ir.Constant(self.vector, ir.Undefined), number, ir.IntType(32)(0))
        return self.builder.shuffle_vector(
            one, ir.Constant(self.vector, ir.Undefined), ir.Constant(ir.VectorType(ir.IntType(32), self.lanes), None)
        )

    def accumulators(self, count):
        cells = [cgutils.alloca_once(self.builder, self.vector) for _ in range(count)]
        for cell in cells:
            self.builder.store(ir.Constant(self.vector, None), cell)
        return cells

    def suffix(self):
        return f"v{self.lanes}f{8 * self.size}"

    def add_product(self, cell, a, b):
        kind = ir.FunctionType(self.vector, [self.vector] * 3)
        fma = cgutils.get_or_insert_function(self.builder.module, kind, f"llvm.fma.{self.suffix()}")
        self.builder.store(self.builder.call(fma, [a, b, self.builder.load(cell)]), cell)

    def sum_of_lanes(self, vector):
        kind = ir.FunctionType(self.element, [self.element, self.vector])
        add = cgutils.get_or_insert_function(self.builder.module, kind, f"llvm.vector.reduce.fadd.{self.suffix()}")
        return self.builder.call(add, [ir.Constant(self.element, 0.0), vector], fastmath=["reassoc"])


def _shifted(builder, index, by):
    return builder.add(index, ir.Constant(index.type, by))


def _choose(builder, height, width, heights, widths, emit):
    """Branch to the code of the tile whose height and width were asked for."""
    end = builder.append_basic_block("tile_end")
    for h in heights:
        for w in widths:
            asked = builder.and_(
                builder.icmp_signed("==", height, ir.Constant(height.type, h)),
                builder.icmp_signed("==", width, ir.Constant(width.type, w)),
            )
            with builder.if_then(asked):
                emit(h, w)
                builder.branch(end)
                builder.position_at_end(builder.append_basic_block("unreachable"))
    builder.branch(end)
    builder.position_at_end(end)


@intrinsic
def outer_tile(typing_context, C, i, j, height, width, A, B):
    """C[i:i+height, j:j+width*LANES] = A[i:i+height] @ B[:, j:j+width*LANES]; B and C have columns of stride one."""

    def generate(context, builder, signature, arguments):
        c_value, i, j, height, width, a_value, b_value = arguments
        C = _Matrix(context, builder, signature.args[0], c_value)
        A = _Matrix(context, builder, signature.args[5], a_value)
        B = _Matrix(context, builder, signature.args[6], b_value)

        def emit(h, w):
            cells = B.accumulators(h * w)
            with cgutils.for_range(builder, B.shape[0]) as loop:
                vectors = [B.load(loop.index, _shifted(builder, j, v * B.lanes), B.vector) for v in range(w)]
                for r in range(h):
                    a = A.broadcast(A.load(_shifted(builder, i, r), loop.index, A.element))
                    for v in range(w):
                        B.add_product(cells[r * w + v], a, vectors[v])
            for r in range(h):
                for v in range(w):
                    C.store(_shifted(builder, i, r), _shifted(builder, j, v * B.lanes), builder.load(cells[r * w + v]))

        _choose(builder, height, width, HEIGHTS, WIDTHS, emit)
        return context.get_dummy_value()

    return types.void(C, i, j, height, width, A, B), generate


@intrinsic
def dot_tile(typing_context, C, i, j, height, width, A, B):
    """C[i:i+height, j:j+width] = A[i:i+height] @ B[j:j+width].T; A and B have LANES or more columns of stride one."""

    def generate(context, builder, signature, arguments):
        c_value, i, j, height, width, a_value, b_value = arguments
        C = _Matrix(context, builder, signature.args[0], c_value)
        A = _Matrix(context, builder, signature.args[5], a_value)
        B = _Matrix(context, builder, signature.args[6], b_value)
        lanes = ir.Constant(A.shape[1].type, A.lanes)
        whole_vectors = builder.sdiv(A.shape[1], lanes)
        rest = builder.srem(A.shape[1], lanes)

        def step(k, cells, h, w, keep=None):
            rows = [A.load(_shifted(builder, i, r), k, A.vector) for r in range(h)]
            if keep is not None:
                rows = [builder.select(keep, row, ir.Constant(A.vector, None)) for row in rows]
            for c in range(w):
                column = B.load(_shifted(builder, j, c), k, B.vector)
                if keep is not None:
                    column = builder.select(keep, column, ir.Constant(A.vector, None))
                for r in range(h):
                    A.add_product(cells[r * w + c], rows[r], column)

        def emit(h, w):
            cells = A.accumulators(h * w)
            with cgutils.for_range(builder, whole_vectors) as loop:
                step(builder.mul(loop.index, lanes), cells, h, w)
            with builder.if_then(builder.icmp_signed("!=", rest, ir.Constant(rest.type, 0))):
                # The last vector ends with the row: it overlaps the one before, whose lanes are left out.
                first_new = builder.trunc(builder.sub(lanes, rest), ir.IntType(32))
                numbers = ir.Constant(ir.VectorType(ir.IntType(32), A.lanes), list(range(A.lanes)))
                wanted = builder.insert_element(ir.Constant(numbers.type, ir.Undefined), first_new, ir.IntType(32)(0))
                wanted = builder.shuffle_vector(
                    wanted, ir.Constant(numbers.type, ir.Undefined), ir.Constant(numbers.type, None)
                )
                keep = builder.icmp_signed(">=", numbers, wanted)
                step(builder.sub(A.shape[1], lanes), cells, h, w, keep)
            for r in range(h):
                for c in range(w):
                    total = A.sum_of_lanes(builder.load(cells[r * w + c]))
                    C.store(_shifted(builder, i, r), _shifted(builder, j, c), total)

        _choose(builder, height, width, SIDES, SIDES, emit)
        return context.get_dummy_value()

    return types.void(C, i, j, height, width, A, B), generate
