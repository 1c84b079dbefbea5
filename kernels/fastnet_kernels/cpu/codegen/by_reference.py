"""Named tuples by reference: a call with a hundred numbers would take longer than a small layer.

Such a tuple does not change while it is read, and its reader is told so: LLVM keeps its fields in registers across a
loop. The function that made it keeps it alive, does not read it by its pointer, and changes it between calls.
"""

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.datamodel import models
from numba.core.typing.templates import AttributeTemplate, infer_getattr
from numba.extending import intrinsic, lower_getattr_generic, register_model


class ByReference(types.Type):
    """Pointer to a named tuple. A field that is a named tuple is read by reference as well."""

    def __init__(self, content):
        self.dtype = content
        super().__init__(name=f"ByReference({content})")


register_model(ByReference)(models.PointerModel)


@intrinsic
def by_reference(typing_context, kind, first, second):
    """A named tuple of the class `kind`, with the fields of two others, in memory of the caller's."""
    content = types.NamedTuple([*first, *second], kind.instance_class)

    def generate(context, builder, signature, arguments):
        model, fields = context.data_model_manager[content], []
        for value, given in zip(arguments[1:], (first, second), strict=True):
            fields += [builder.extract_value(value, i) for i in range(len(given))]
        value = model.get_value_type()(ir.Undefined)
        for i, field in enumerate(fields):
            value = builder.insert_value(value, field, i)
        pointer = cgutils.alloca_once(builder, model.get_data_type())
        builder.store(model.as_data(builder, value), pointer)
        return pointer

    return ByReference(content)(kind, first, second), generate


@intrinsic
def set_fields(typing_context, pointer, fields):
    """Give some fields new values: those of the fields of the same names of another named tuple."""

    def generate(context, builder, signature, arguments):
        for offset, (name, kind) in enumerate(zip(fields.fields, fields, strict=True)):
            value = builder.extract_value(arguments[1], offset)
            target = cgutils.gep_inbounds(builder, arguments[0], 0, pointer.dtype.fields.index(name))
            builder.store(context.data_model_manager[kind].as_data(builder, value), target)
        return context.get_dummy_value()

    return types.void(pointer, fields), generate


@infer_getattr
class _Attributes(AttributeTemplate):
    key = ByReference

    def generic_resolve(self, typ, attr):
        if attr not in typ.dtype.fields:
            return None
        found = typ.dtype[typ.dtype.fields.index(attr)]
        return ByReference(found) if isinstance(found, types.NamedTuple) else found


def _load_numbers(builder, pointer):
    """What stands there, number by number: LLVM drops those that nobody uses."""
    kind = pointer.type.pointee
    if isinstance(kind, ir.LiteralStructType | ir.ArrayType):
        aggregate, count = (
            ir.Constant(kind, ir.Undefined),
            len(kind.elements) if hasattr(kind, "elements") else kind.count,
        )
        for offset in range(count):
            number = _load_numbers(builder, cgutils.gep_inbounds(builder, pointer, 0, offset))
            aggregate = builder.insert_value(aggregate, number, offset)
        return aggregate
    number = builder.load(pointer)
    number.set_metadata("invariant.load", builder.module.add_metadata([]))
    return number


@lower_getattr_generic(ByReference)
def _field(context, builder, typ, value, attr):
    offset = typ.dtype.fields.index(attr)
    pointer = cgutils.gep_inbounds(builder, value, 0, offset)
    if isinstance(typ.dtype[offset], types.NamedTuple):
        return pointer
    return context.data_model_manager[typ.dtype[offset]].from_data(builder, _load_numbers(builder, pointer))
