"""Bare arrays, as arguments between routines: address and extents, instead of the seven fields of Numba's arrays.

Inside a routine such an array is like any other. What of the other fields is needed follows from the type.
"""

import functools

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.datamodel import register_default
from numba.core.datamodel.models import ArrayModel
from numba.core.imputils import lower_cast

from .arrays import strides_without_gaps


class BareArray(types.Array):
    """The type of an argument whose numbers lie without a gap, row after row."""

    def __init__(self, dtype, ndim):
        super().__init__(dtype, ndim, "C", name=f"BareArray({dtype}, {ndim})")


def bare(kind):
    """How values of a type are handed on; of a named tuple each field."""
    kind = types.unliteral(kind)
    if isinstance(kind, types.NamedTuple):
        return types.NamedTuple([bare(field) for field in kind], kind.instance_class)
    is_plain = isinstance(kind, types.Array) and kind.layout == "C" and kind.mutable and kind.aligned
    return BareArray(kind.dtype, kind.ndim) if is_plain else kind


@lower_cast(types.Array, BareArray)
@lower_cast(BareArray, types.Array)
@lower_cast(BareArray, BareArray)
def _same(context, builder, given, wanted, value):
    return value


@lower_cast(types.NamedTuple, types.NamedTuple)
def _each_field(context, builder, given, wanted, value):
    result = context.get_value_type(wanted)(ir.Undefined)
    for i, (old, new) in enumerate(zip(given, wanted, strict=True)):
        field = context.cast(builder, builder.extract_value(value, i), old, new)
        result = builder.insert_value(result, field, i)
    return result


@register_default(BareArray)
class _BareArrayModel(ArrayModel):
    """As a value an array; as an argument its address and extents."""

    def get_argument_type(self):
        address = self.get_member_fe_type("data")
        return (self._dmm.lookup(address).get_argument_type(), *[ir.IntType(64)] * self.fe_type.ndim)

    def as_argument(self, builder, value):
        shape = cgutils.unpack_tuple(builder, self.get(builder, value, "shape"))
        return (self.get(builder, value, "data"), *shape)

    def from_argument(self, builder, value):
        data, *shape = value
        size = self.fe_type.dtype.bitwidth // 8
        array = ir.Constant(self.get_value_type(), None)
        fields = {
            "data": data,
            "nitems": functools.reduce(builder.mul, shape),
            "itemsize": ir.IntType(64)(size),
            "shape": cgutils.pack_array(builder, shape),
            "strides": cgutils.pack_array(builder, strides_without_gaps(builder, size, shape)),
        }
        for name, field in fields.items():
            array = self.set(builder, array, field, name)
        return array
