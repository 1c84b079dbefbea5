"""The register tiles that all matrix products are made of: the only code that knows the machine.

A tile of C is kept in vector registers while the sum runs, so that each loaded number is used many times.

The compiled program works on *panels*: matrices of two vectors' width, row after row without a gap, so that the inner
loop reads memory in order.

    panel_tile       C[r, :] += alpha sum_k A[r, k] B[k, :]   for h rows r; B is a panel, A has any strides
    read_panel_row   a row of a panel = scale * numbers that lie anywhere + shift
    transpose        the same for a square of one vector's side, turned

The kernels that work on their own take matrices as they are:

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
    """Bytes of a vector register; heights of the panel and outer tiles (2 vectors wide), sides of the dot tile."""
    features = llvmlite.binding.get_host_cpu_features()
    if features.get("avx512f"):
        return 64, (14, 12, 10, 8, 6, 4, 2, 1), (14, 8, 4, 2, 1), (5, 2, 1)  # 32 registers
    if features.get("avx2"):
        return 32, (6, 5, 4, 3, 2, 1), (6, 4, 2, 1), (3, 2, 1)  # 16 registers
    if features.get("neon"):
        return 16, (12, 10, 8, 6, 4, 2, 1), (12, 8, 4, 2, 1), (5, 2, 1)  # 32 registers
    return 16, (6, 5, 4, 3, 2, 1), (6, 4, 2, 1), (3, 2, 1)


VECTOR_BYTES, PANEL_HEIGHTS, HEIGHTS, SIDES = _machine()
PANEL_BYTES = 2 * VECTOR_BYTES  # of a panel's row
_PREFETCH_STEPS = 12  # of the inner loop: where A is read down a column, each step needs another cache line
WIDTHS = (2, 1)  # of the outer tile, in vectors


def _suffix(vector):
    """How LLVM names a type in its functions: v16f32."""
    return f"v{vector.count}{'f32' if vector.element == ir.FloatType() else 'f64'}"


def _broadcast(builder, vector, number):
    """A vector whose lanes are all `number`."""
    undefined, index = ir.Constant(vector, ir.Undefined), ir.IntType(32)
    one = builder.insert_element(undefined, number, index(0))
    return builder.shuffle_vector(one, undefined, ir.Constant(ir.VectorType(index, vector.count), None))


def fused_multiply_add(builder, a, b, c):
    """a * b + c of three vectors, rounded once. `declare_intrinsic` would refuse their type."""
    kind = ir.FunctionType(a.type, [a.type] * 3)
    fma = cgutils.get_or_insert_function(builder.module, kind, f"llvm.fma.{_suffix(a.type)}")
    return builder.call(fma, [a, b, c])


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
        return _broadcast(self.builder, self.vector, number)

    def accumulators(self, count):
        cells = [cgutils.alloca_once(self.builder, self.vector) for _ in range(count)]
        for cell in cells:
            self.builder.store(ir.Constant(self.vector, None), cell)
        return cells

    def add_product(self, cell, a, b):
        self.builder.store(fused_multiply_add(self.builder, a, b, self.builder.load(cell)), cell)

    def sum_of_lanes(self, vector):
        kind = ir.FunctionType(self.element, [self.element, self.vector])
        add = cgutils.get_or_insert_function(
            self.builder.module, kind, f"llvm.vector.reduce.fadd.{_suffix(self.vector)}"
        )
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


def _element_pointer(context, builder, array_type, value, offset):
    return builder.gep(context.make_array(array_type)(context, builder, value).data, [offset])


def _prefetch(builder, pointer):
    """Ask for a cache line that is read soon; any address will do."""
    pointer = builder.bitcast(pointer, ir.IntType(8).as_pointer())
    numbers = [ir.IntType(32)(number) for number in (0, 3, 1)]  # to read, into all caches, data
    kind = ir.FunctionType(ir.VoidType(), [pointer.type, *(number.type for number in numbers)])
    builder.call(cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0"), [pointer, *numbers])


@intrinsic
def prefetch(typing_context, buffer, place):
    """Ask for the cache line of buffer[place], which may lie beyond the end."""

    def generate(context, builder, signature, arguments):
        _prefetch(builder, _element_pointer(context, builder, signature.args[0], *arguments))
        return context.get_dummy_value()

    return types.void(buffer, types.intp), generate


@intrinsic
def panel_tile(typing_context, height, alpha, C, c, c_row, A, a, a_row, a_k, a_block, B, b, n_blocks, n_k):
    """C[c + r c_row + v] += alpha * sum_{i, k} A[a + r a_row + k a_k + i a_block] * B[b + (i n_k + k) PANEL + v].

    For rows r < height, blocks i < n_blocks, k < n_k and all v of a panel's row; flat buffers, offsets in elements.
    """

    def generate(context, builder, signature, arguments):
        height, alpha, c_value, c, c_row, a_value, a, a_row, a_k, a_block, b_value, b, n_blocks, n_k = arguments
        c_type, a_type, b_type = signature.args[2], signature.args[5], signature.args[10]
        size = c_type.dtype.bitwidth // 8
        element, lanes = context.get_value_type(c_type.dtype), VECTOR_BYTES // size
        vector, index = ir.VectorType(element, lanes), ir.IntType(64)
        vectors = PANEL_BYTES // VECTOR_BYTES

        def parts(pointer):
            """Pointers to the vectors of one row of a panel."""
            return [
                builder.bitcast(builder.gep(pointer, [index(v * lanes)]), vector.as_pointer()) for v in range(vectors)
            ]

        def emit(h, _):
            cells = [cgutils.alloca_once_value(builder, ir.Constant(vector, None)) for _ in range(h * vectors)]
            for cell in cells:
                builder.store(ir.Constant(vector, None), cell)
            # C is needed last and asked for first.
            targets = [
                _element_pointer(context, builder, c_type, c_value, builder.add(c, builder.mul(c_row, index(r))))
                for r in range(h)
            ]
            for target in targets:
                for part in parts(target):
                    _prefetch(builder, part)
            with cgutils.for_range(builder, n_blocks) as block:
                start = builder.add(a, builder.mul(block.index, a_block))
                rows = [
                    _element_pointer(
                        context, builder, a_type, a_value, builder.add(start, builder.mul(a_row, index(r)))
                    )
                    for r in range(h)
                ]
                panel = builder.add(b, builder.mul(builder.mul(block.index, n_k), index(vectors * lanes)))
                panel = _element_pointer(context, builder, b_type, b_value, panel)
                with cgutils.for_range(builder, n_k) as loop:
                    at = builder.gep(panel, [builder.mul(loop.index, index(vectors * lanes))])
                    loaded = [builder.load(part, align=size) for part in parts(at)]
                    step = builder.mul(loop.index, a_k)
                    ahead = builder.mul(_shifted(builder, loop.index, _PREFETCH_STEPS), a_k)
                    for r in {0, h - 1}:
                        _prefetch(builder, builder.gep(rows[r], [ahead]))
                    for r in range(h):
                        factor = _broadcast(builder, vector, builder.load(builder.gep(rows[r], [step]), align=size))
                        for v in range(vectors):
                            cell = cells[r * vectors + v]
                            builder.store(fused_multiply_add(builder, factor, loaded[v], builder.load(cell)), cell)
            scale = _broadcast(builder, vector, alpha)
            for r, target in enumerate(targets):
                for v, part in enumerate(parts(target)):
                    total = builder.load(cells[r * vectors + v])
                    changed = fused_multiply_add(builder, scale, total, builder.load(part, align=size))
                    builder.store(changed, part, align=size)

        _choose(builder, height, height.type(1), PANEL_HEIGHTS, (1,), emit)
        return context.get_dummy_value()

    place = types.intp
    return types.void(place, C.dtype, C, place, place, A, place, place, place, place, B, place, place, place), generate


class _Reader:
    """Inside generated code: vectors of scale * x + shift, with x of a floating dtype or uint8."""

    def __init__(self, context, builder, source_type, target_type, scale, shift):
        self.builder = builder
        size = target_type.dtype.bitwidth // 8
        self.lanes, self.align = VECTOR_BYTES // size, source_type.dtype.bitwidth // 8
        self.vector = ir.VectorType(context.get_value_type(target_type.dtype), self.lanes)
        self.given = ir.VectorType(context.get_value_type(source_type.dtype), self.lanes)
        self.scale, self.shift = (_broadcast(builder, self.vector, number) for number in (scale, shift))

    def read(self, pointer):
        numbers = self.builder.load(self.builder.bitcast(pointer, self.given.as_pointer()), align=self.align)
        if self.given != self.vector:
            numbers = self.builder.uitofp(numbers, self.vector)
        return fused_multiply_add(self.builder, self.scale, numbers, self.shift)

    def write(self, numbers, pointer):
        self.builder.store(numbers, self.builder.bitcast(pointer, self.vector.as_pointer()), align=4)


@intrinsic
def read_panel_row(typing_context, target, t, source, s, scale, shift):
    """target[t + c] = scale * source[s + c] + shift, for a panel's width of c; flat buffers, `source` may be uint8."""

    def generate(context, builder, signature, arguments):
        t_value, t, s_value, s, scale, shift = arguments
        reader = _Reader(context, builder, signature.args[2], signature.args[0], scale, shift)
        for v in range(PANEL_BYTES // VECTOR_BYTES):
            at = _shifted(builder, s, v * reader.lanes)
            numbers = reader.read(_element_pointer(context, builder, signature.args[2], s_value, at))
            at = _shifted(builder, t, v * reader.lanes)
            reader.write(numbers, _element_pointer(context, builder, signature.args[0], t_value, at))
        return context.get_dummy_value()

    place, kind = types.intp, target.dtype
    return types.void(target, place, source, place, kind, kind), generate


@intrinsic
def transpose(typing_context, target, t, source, s, rows, first, row_size, scale, shift):
    """target[t + k PANEL + i] = scale * source[s + rows[first + i] * row_size + k] + shift, for i and k below LANES.

    `target` is a flat buffer of floating numbers, `source` one of the same or of uint8.
    """

    def generate(context, builder, signature, arguments):
        t_value, t, s_value, s, rows, first, row_size, scale, shift = arguments
        t_type, s_type, rows_type = signature.args[0], signature.args[2], signature.args[4]
        reader = _Reader(context, builder, s_type, t_type, scale, shift)
        lanes, number = reader.lanes, ir.IntType(32)
        loaded = []
        for i in range(lanes):
            row = builder.load(_element_pointer(context, builder, rows_type, rows, _shifted(builder, first, i)))
            place = builder.add(s, builder.mul(row, row_size))
            loaded.append(reader.read(_element_pointer(context, builder, s_type, s_value, place)))
        # Interleaving vectors i and i + LANES / 2, log2(LANES) times over, is a transposition.
        turns = [place for pair in zip(range(lanes), range(lanes, 2 * lanes), strict=True) for place in pair]
        halves = [ir.Constant(ir.VectorType(number, lanes), turns[i : i + lanes]) for i in (0, lanes)]
        for _ in range(lanes.bit_length() - 1):
            pairs = zip(loaded[: lanes // 2], loaded[lanes // 2 :], strict=True)
            loaded = [builder.shuffle_vector(a, b, half) for a, b in pairs for half in halves]
        for k, numbers in enumerate(loaded):
            at = _shifted(builder, t, k * PANEL_BYTES // VECTOR_BYTES * lanes)
            reader.write(numbers, _element_pointer(context, builder, t_type, t_value, at))
        return context.get_dummy_value()

    place, kind = types.intp, target.dtype
    return types.void(target, place, source, place, rows, place, place, kind, kind), generate
