"""Views of flat buffers, without a copy, an allocation or a reference count; and a few numbers on the stack.

The views do not keep their buffer alive: they are for use inside a kernel, whose caller holds the buffers.
"""

import ctypes
import sys

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

ON_STACK = 128  # numbers


def strides_without_gaps(builder, size, shape):
    """Strides, in bytes, of an array whose numbers, of `size` bytes, are contiguous, row after row."""
    strides, stride = [], ir.Constant(ir.IntType(64), size)
    for extent in reversed(shape):
        strides.insert(0, stride)
        stride = builder.mul(stride, extent)
    return strides


def _array(context, builder, array_type, address, shape):
    """An array structure for memory that somebody else owns."""
    size = array_type.dtype.bitwidth // 8
    array = context.make_array(array_type)(context, builder)
    context.populate_array(
        array,
        data=builder.bitcast(address, array.data.type),
        shape=cgutils.pack_array(builder, shape),
        strides=cgutils.pack_array(builder, strides_without_gaps(builder, size, shape)),
        itemsize=ir.Constant(ir.IntType(64), size),
        meminfo=None,
    )
    return array._getvalue()


def _address(context, builder, buffer_type, value, offset):
    data = context.make_array(buffer_type)(context, builder, value).data
    return builder.gep(data, [offset])


@intrinsic
def matrix(typing_context, buffer, offset, rows, columns):
    """The (rows, columns) matrix, row after row, that starts at element `offset` of a 1-D buffer."""
    view = types.Array(buffer.dtype, 2, "C")

    def generate(context, builder, signature, arguments):
        value, offset, rows, columns = arguments
        address = _address(context, builder, signature.args[0], value, offset)
        return _array(context, builder, view, address, [rows, columns])

    return view(buffer, types.intp, types.intp, types.intp), generate


@intrinsic
def image(typing_context, buffer, offset, height, width, numbers):
    """The (height, width, numbers) array, pixel after pixel, that starts at element `offset` of a 1-D buffer."""
    view = types.Array(buffer.dtype, 3, "C")

    def generate(context, builder, signature, arguments):
        value, offset, *shape = arguments
        return _array(context, builder, view, _address(context, builder, signature.args[0], value, offset), shape)

    return view(buffer, *[types.intp] * 4), generate


@intrinsic
def vector(typing_context, buffer, offset, size):
    """The `size` elements that start at element `offset` of a 1-D buffer."""
    view = types.Array(buffer.dtype, 1, "C")

    def generate(context, builder, signature, arguments):
        value, offset, size = arguments
        return _array(context, builder, view, _address(context, builder, signature.args[0], value, offset), [size])

    return view(buffer, types.intp, types.intp), generate


@intrinsic
def reinterpret(typing_context, raw, like):
    """The bytes `raw`, a 1-D uint8 array, as numbers of the dtype of the array `like`."""
    view = types.Array(like.dtype, 1, "C")

    def generate(context, builder, signature, arguments):
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        (n_bytes,) = cgutils.unpack_tuple(builder, array.shape)
        size = builder.sdiv(n_bytes, ir.Constant(n_bytes.type, like.dtype.bitwidth // 8))
        return _array(context, builder, view, array.data, [size])

    return view(raw, like), generate


@intrinsic
def distance(typing_context, target, source):
    """How many numbers of `target` there are between its beginning and that of another array."""

    def generate(context, builder, signature, arguments):
        begins = [
            builder.ptrtoint(context.make_array(kind)(context, builder, value).data, ir.IntType(64))
            for kind, value in zip(signature.args, arguments, strict=True)
        ]
        return builder.sdiv(builder.sub(begins[1], begins[0]), ir.IntType(64)(target.dtype.bitwidth // 8))

    return types.intp(target, source), generate


@intrinsic
def numbers_on_stack(typing_context, like):
    """A vector of ON_STACK numbers of the dtype of the array `like`; in a loop it is one and the same."""
    view = types.Array(like.dtype, 1, "C")

    def generate(context, builder, signature, arguments):
        memory = cgutils.alloca_once(builder, ir.ArrayType(context.get_data_type(like.dtype), ON_STACK))
        return _array(context, builder, view, memory, [ir.Constant(ir.IntType(64), ON_STACK)])

    return view(like), generate


@intrinsic
def numbers_at(typing_context, like, address, count):
    """The `count` numbers of the dtype of the array `like` at an address."""
    view = types.Array(like.dtype, 1, "C")

    def generate(context, builder, signature, arguments):
        pointer = builder.inttoptr(arguments[1], context.get_data_type(like.dtype).as_pointer())
        return _array(context, builder, view, pointer, [arguments[2]])

    return view(like, types.int64, types.intp), generate


@intrinsic
def address_of(typing_context, array):
    """The address of an array's first number."""

    def generate(context, builder, signature, arguments):
        return builder.ptrtoint(context.make_array(array)(context, builder, arguments[0]).data, ir.IntType(64))

    return types.int64(array), generate


# Where NumPy keeps an array's dtype, and a dtype its byte order: behind what every Python object begins with.
_HEAD = object.__basicsize__
_DTYPE_OFFSET, _ORDER_OFFSET = _HEAD + 40, _HEAD + 10
_FOREIGN = ">" if sys.byteorder == "little" else "<"


def _knows_numpy():
    """Whether that is so in this version of NumPy."""
    array = np.zeros(1, np.dtype(f"{_FOREIGN}f8"))
    address = ctypes.c_void_p.from_address(id(array) + _DTYPE_OFFSET).value
    return address == id(array.dtype) and ctypes.string_at(address + _ORDER_OFFSET, 1) == _FOREIGN.encode()


KNOWS_NUMPY = _knows_numpy()


@intrinsic
def is_native(typing_context, array):
    """Whether an array that Python has given has the machine's byte order, which Numba does not always look at.

    Numba keeps what it has found out of an unusual array, one that is not aligned, for all that are unusual.
    """

    def generate(context, builder, signature, arguments):
        if not KNOWS_NUMPY:
            return ir.IntType(1)(1)
        parent = context.make_array(array)(context, builder, arguments[0]).parent
        byte, index = ir.IntType(8), ir.IntType(64)

        def at(pointer, offset, kind):
            place = builder.gep(builder.bitcast(pointer, byte.as_pointer()), [index(offset)])
            return builder.load(builder.bitcast(place, kind.as_pointer()))

        order = at(at(parent, _DTYPE_OFFSET, byte.as_pointer()), _ORDER_OFFSET, byte)
        return builder.icmp_unsigned("!=", order, byte(ord(_FOREIGN)))

    return types.boolean(array), generate


@intrinsic
def flat(typing_context, array):
    """The numbers of an array of any strides, from its first one on, as a 1-D array: only where it begins counts."""
    view = types.Array(array.dtype, 1, "C")

    def generate(context, builder, signature, arguments):
        data = context.make_array(array)(context, builder, arguments[0]).data
        return _array(context, builder, view, data, [ir.IntType(64)(0)])

    return view(array), generate
