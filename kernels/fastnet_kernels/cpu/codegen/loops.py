"""Loops over contiguous numbers that LLVM always makes vectors of, in place as well as from one array to another.

LLVM makes vectors of a loop that reads one array and writes another if it can prove that they do not overlap, or finds
so when the loop begins; of one and the same array it would compute one number after the other. Here the loop itself
says that no step reads what another step writes, which holds for the same array as well as for two.
"""

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from .processor import VECTOR_BYTES
from .simd import Buffer, broadcast


class _Distinct(ir.MDValue):
    """Metadata that is equal to no other, and may name itself."""

    def descr(self, buf):
        operands = ", ".join([self.get_reference()] * self.names_itself + [op.get_reference() for op in self.operands])
        buf += (f"distinct !{{ {operands} }}\n",)


def _distinct(module, operands, names_itself):
    found = _Distinct(module, operands, name=str(len(module.metadata)))
    found.names_itself = names_itself
    return found


def _note(module, name, *values):
    return module.add_metadata([ir.MetaDataString(module, name), *values])


def _numbers(context, builder, kinds, values):
    """Pointers to the first numbers of some arrays."""
    return [context.make_array(kind)(context, builder, value).data for kind, value in zip(kinds, values, strict=True)]


def _map(typing_context, function, targets, sources, shared, parameters):
    """Typing and code of all maps; `sources` has a tuple of arrays for each target, or one if `function` gives all."""
    dtype = targets[0].dtype
    given = (*[dtype] * (len(sources[0]) + len(shared)), *parameters)
    called = typing_context.resolve_function_type(function, given, {})

    def emit(context, builder, values_of_targets, values_of_sources, values_of_shared, settings):
        module, index = builder.module, ir.IntType(64)
        group = _distinct(module, [], names_itself=False)
        notes = [
            _note(module, "llvm.loop.parallel_accesses", group),
            _note(module, "llvm.loop.vectorize.enable", ir.IntType(1)(1)),
            _note(module, "llvm.loop.vectorize.width", ir.IntType(32)(VECTOR_BYTES // (dtype.bitwidth // 8))),
            # Of a run of two vectors, several at a time would leave all to a loop of single numbers.
            _note(module, "llvm.loop.interleave.count", ir.IntType(32)(1)),
        ]
        loop = _distinct(module, notes, names_itself=True)
        (count,) = cgutils.unpack_tuple(
            builder, context.make_array(targets[0])(context, builder, values_of_targets[0]).shape
        )
        written = _numbers(context, builder, targets, values_of_targets)
        read = [
            _numbers(context, builder, kinds, values) for kinds, values in zip(sources, values_of_sources, strict=True)
        ]
        for_all = _numbers(context, builder, shared, values_of_shared)
        implementation = context.get_function(function, called)

        before, head = builder.block, builder.append_basic_block("numbers")
        end = builder.append_basic_block("numbers_end")
        builder.cbranch(builder.icmp_signed(">", count, index(0)), head, end)
        builder.position_at_end(head)
        i = builder.phi(index)
        i.add_incoming(index(0), before)

        def load(data):
            value = builder.load(builder.gep(data, [i], inbounds=True))
            value.set_metadata("llvm.access.group", group)
            return value

        common = [load(data) for data in for_all]
        values = [[load(data) for data in some] for some in read]
        results = [implementation(builder, [*some, *common, *settings]) for some in values]
        if isinstance(called.return_type, types.BaseTuple):
            results = cgutils.unpack_tuple(builder, results[0], len(called.return_type))
        else:
            results = [context.cast(builder, result, called.return_type, dtype) for result in results]
        for data, result in zip(written, results, strict=True):
            builder.store(result, builder.gep(data, [i], inbounds=True)).set_metadata("llvm.access.group", group)
        following = builder.add(i, index(1), flags=("nuw", "nsw"))
        i.add_incoming(following, builder.block)
        builder.cbranch(builder.icmp_signed("<", following, count), head, end).set_metadata("llvm.loop", loop)
        builder.position_at_end(end)

    return emit


@intrinsic
def map_numbers(typing_context, function, target, sources, parameters):
    """target[i] = function(*[source[i] for source in sources], *parameters), for all i of the target.

    The target and all sources are contiguous and 1-D, of one dtype; any of the sources may be the target itself, and
    nothing else may overlap. `function` is compiled, `parameters` a tuple.
    """
    emit = _map(typing_context, function, [target], [sources], (), parameters)

    def generate(context, builder, signature, arguments):
        given, settings = (
            cgutils.unpack_tuple(builder, value, len(kinds))
            for value, kinds in ((arguments[2], sources), (arguments[3], parameters))
        )
        emit(context, builder, [arguments[1]], [given], [], settings)
        return context.get_dummy_value()

    return types.void(function, target, sources, parameters), generate


@intrinsic
def map_to_many(typing_context, function, targets, sources, parameters):
    """targets[0][i], targets[1][i], ... = function(*[s[i] for s in sources], *parameters), as `map_numbers`."""
    emit = _map(typing_context, function, list(targets), [tuple(sources)], (), parameters)

    def generate(context, builder, signature, arguments):
        written, read, settings = (
            cgutils.unpack_tuple(builder, value, len(kinds))
            for value, kinds in zip(arguments[1:], (targets, sources, parameters), strict=True)
        )
        emit(context, builder, written, [read], [], settings)
        return context.get_dummy_value()

    return types.void(function, targets, sources, parameters), generate


@intrinsic
def map_rows(typing_context, function, targets, sources, shared):
    """targets[r][i] = function(sources[r][i], *[s[i] for s in shared]), for all i, of some rows r at a time.

    What the rows share is read once for all of them. All are contiguous and 1-D, of one dtype; a target may be the
    source of the same row, and nothing else may overlap. `function` is compiled; all else are tuples.
    """
    emit = _map(typing_context, function, list(targets), [(source,) for source in sources], shared, ())

    def generate(context, builder, signature, arguments):
        written, read, common = (
            cgutils.unpack_tuple(builder, value, len(kinds))
            for value, kinds in zip(arguments[1:], (targets, sources, shared), strict=True)
        )
        emit(context, builder, written, [[value] for value in read], common, [])
        return context.get_dummy_value()

    return types.void(function, targets, sources, shared), generate


@intrinsic
def copy_strided(typing_context, target, t, t_stride, source, s, s_stride, count):
    """target[t + k t_stride] = source[s + k s_stride], for k < count, in numbers of one dtype; nothing may overlap.

    Indices are not looked at: Numba's own would each be asked whether they count from the end.
    """

    def generate(context, builder, signature, arguments):
        _, t, t_stride, _, s, s_stride, count = arguments
        module, index = builder.module, ir.IntType(64)
        written, read = (Buffer(context, builder, signature.args[i], arguments[i]) for i in (0, 3))
        first, last = written.at(t), read.at(s)

        def emit(to, by):
            group = _distinct(module, [], names_itself=False)
            loop = _distinct(module, [_note(module, "llvm.loop.parallel_accesses", group)], names_itself=True)
            before, head = builder.block, builder.append_basic_block("copy")
            end = builder.append_basic_block("copy_end")
            builder.cbranch(builder.icmp_signed(">", count, index(0)), head, end)
            builder.position_at_end(head)
            k = builder.phi(index)
            k.add_incoming(index(0), before)
            number = builder.load(builder.gep(last, [builder.mul(k, by)], inbounds=True))
            number.set_metadata("llvm.access.group", group)
            place = builder.gep(first, [builder.mul(k, to)], inbounds=True)
            builder.store(number, place).set_metadata("llvm.access.group", group)
            following = builder.add(k, index(1), flags=("nuw", "nsw"))
            k.add_incoming(following, builder.block)
            builder.cbranch(builder.icmp_signed("<", following, count), head, end).set_metadata("llvm.loop", loop)
            builder.position_at_end(end)

        # Every other number is half of what whole vectors hold, which LLVM sees where the stride is written down.
        is_one = builder.icmp_signed("==", t_stride, index(1))
        is_two = builder.and_(is_one, builder.icmp_signed("==", s_stride, index(2)))
        with builder.if_else(is_two) as (then, otherwise):
            with then:
                emit(index(1), index(2))
            with otherwise, builder.if_else(is_one) as (gathers, scatters):
                with gathers:
                    emit(index(1), s_stride)
                with scatters:
                    emit(t_stride, s_stride)
        return context.get_dummy_value()

    place = types.intp
    return types.void(target, place, place, source, place, place, place), generate


@intrinsic
def largest_of(typing_context, numbers):
    """The largest of some contiguous numbers, at least one; if there is a NaN it may be any of them.

    Written in vectors: LLVM makes them of such a loop only where it may assume that there is no NaN.
    """

    def generate(context, builder, signature, arguments):
        source = Buffer(context, builder, numbers, arguments[0])
        array = context.make_array(numbers)(context, builder, arguments[0])
        (count,) = cgutils.unpack_tuple(builder, array.shape)
        index, first = ir.IntType(64), source.load(source.at(ir.IntType(64)(0)))
        chains = 4
        cells = [cgutils.alloca_once_value(builder, broadcast(builder, source.vector, first)) for _ in range(chains)]

        def larger(cell, value):
            best = builder.load(cell)
            builder.store(builder.select(builder.fcmp_ordered(">", value, best), value, best), cell)

        width = chains * source.lanes
        whole = builder.sdiv(count, index(width))
        with cgutils.for_range(builder, whole) as loop:
            start = builder.mul(loop.index, index(width))
            for chain, cell in enumerate(cells):
                larger(cell, source.load_vector(source.at(start, index(chain * source.lanes))))
        for cell in cells[1:]:
            larger(cells[0], builder.load(cell))
        lanes = builder.load(cells[0])
        best = cgutils.alloca_once_value(builder, builder.extract_element(lanes, index(0)))
        for lane in range(1, source.lanes):
            larger(best, builder.extract_element(lanes, index(lane)))
        with cgutils.for_range(builder, builder.sub(count, builder.mul(whole, index(width)))) as loop:
            larger(best, source.load(source.at(builder.mul(whole, index(width)), loop.index)))
        return builder.load(best)

    return numbers.dtype(numbers), generate
