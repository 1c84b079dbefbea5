"""What stands between Python and a public kernel: checks, one compiled version for any strides, and the slow way.

    call(Z, A)                 a Python function of the kernel's name, made by `kernel`
      compiled(Z, A)           Numba's dispatcher in C: one look-up by the arrays' types
        False                  the checks have failed: `by_copies` says what is wrong, or copies what lies unluckily
        body(Z, A); True       the kernel's own lines

The checks are compiled into the kernel and take some nanoseconds. Numba would compile a kernel again for every memory
layout; here all of them are entries of the dispatcher's table that lead to one version, which asks the strides itself.
"""

import functools
import re

import numpy as np
from numba import njit, types
from numba.core.registry import CPUDispatcher

from ...shapes import ARGUMENTS, COUNT, FLOAT, KEY, NUMBERS, RATE, WHOLE, YES_OR_NO
from .arrays import address_of, is_native
from .compiling import OPTIONS, cached

# By the kind of number: what the kernel takes, and what of Python's and NumPy's can become that.
_NUMBER_TYPES = {
    FLOAT: (types.float64, (types.Integer, types.Float, types.Boolean)),
    RATE: (types.float64, (types.Integer, types.Float, types.Boolean)),
    COUNT: (types.int64, (types.Integer,)),
    WHOLE: (types.int64, (types.Integer,)),
    KEY: (types.uint64, (types.Integer,)),
    YES_OR_NO: (types.boolean, (types.Integer, types.Boolean)),
}
_DTYPES = (types.float32, types.float64)


# Asked of each array, of which there may be many: compiled once a kind of array, where lines of the kernel's own would
# take it longer than all the rest.
_check = njit(forceinline=True, no_cpython_wrapper=True, no_cfunc_wrapper=True, **OPTIONS)


@_check
def span(M):
    """The addresses of an array's first byte and of the one behind its last; both 0 of one without numbers."""
    low = high = address_of(M)
    for axis in range(M.ndim):
        reach = (M.shape[axis] - 1) * M.strides[axis]
        if reach < 0:
            low += reach
        else:
            high += reach
    return (low, high + M.itemsize) if M.size > 0 else (0, 0)


@_check
def are_same(A, B):
    """Whether two arrays of one shape are the same memory, number for number."""
    return address_of(A) == address_of(B) and A.strides == B.strides


@_check
def lies_well(M):
    """Whether numbers lie at multiples of their size, in the machine's byte order."""
    result = is_native(M) and address_of(M) % M.itemsize == 0
    for axis in range(M.ndim):
        result &= M.strides[axis] % M.itemsize == 0 or M.shape[axis] < 2
    return result


@_check
def has_all_numbers(M):
    """Whether each number of an array that is written has a place of its own, as far as strides of 0 tell."""
    result = True
    for axis in range(M.ndim):
        result &= M.strides[axis] != 0 or M.shape[axis] < 2
    return result or M.size == 0


@_check
def is_without_gaps(M):
    """Whether an array's numbers are contiguous, row after row."""
    stride, result = M.itemsize, True  # whatever the strides are of an array without numbers
    for axis in range(M.ndim - 1, -1, -1):
        result &= M.strides[axis] == stride or M.shape[axis] == 1
        stride *= M.shape[axis]
    return result or M.size == 0


_COMPILED_CHECKS = (span, are_same, lies_well, has_all_numbers, is_without_gaps)


def _checks(arguments):
    """The conditions under which a call can go on, as lines of Python: few, as each is a branch to be compiled."""
    letters, found = {}, []
    arrays = {name: shape.split() for name, shape in arguments.given.items() if shape not in NUMBERS}
    for name, extents in arrays.items():
        for axis, extent in enumerate(extents):
            if extent.isalpha() and extent not in letters:
                letters[extent] = f"{name}.shape[{axis}]"
    found += [f"{name} >= 1" for name, kind in arguments.given.items() if kind == COUNT]
    found += [f"{name} >= 0" for name, kind in arguments.given.items() if kind == WHOLE]
    found += [f"0 <= {name} < 1" for name, kind in arguments.given.items() if kind == RATE]
    checks = [("lies_well", arrays), ("has_all_numbers", arguments.written)]
    checks += [("is_without_gaps", arrays)] if arguments.without_gaps else []
    found += [" & ".join(f"{check}({name})" for name in names) for check, names in checks]
    for name, extents in arrays.items():
        same = []
        for axis, extent in enumerate(extents):
            expected = re.sub(r"\b[a-z]\b", lambda match: letters[match.group()], extent)
            if expected != f"{name}.shape[{axis}]":
                same.append(f"({name}.shape[{axis}] == {expected})")
        found += [" & ".join(same)] if same else []
    found += [f"{letters[letter]} % {number} == 0" for letter, number in arguments.multiples.items()]
    for place, name in enumerate(arguments.written):
        apart = []
        for other in arrays:
            if other in arguments.written[: place + 1]:
                continue
            may_be = other in arguments.in_place and arrays[name] == arrays[other]
            same = f" | are_same({name}, {other})" if may_be else ""
            apart.append(f"(({name}_end <= {other}_begin) | ({other}_end <= {name}_begin){same})")
        found += [" & ".join(apart)] if apart else []
    spans = [f"{name}_begin, {name}_end = span({name})" for name in arrays]
    return [*spans, *(f"if not ({condition}):\n        return False" for condition in found)]


def _make(name, arguments, lines, filename, values):
    """The Python function of those lines; it says that it stands where the kernel does."""
    source = "\n".join([f"def {name}({', '.join(arguments.given)}):", *(f"    {line}" for line in lines)])
    exec(compile(source, filename, "exec"), values)
    return values[name]


def kernel(function):
    """Compile a public kernel, which Python calls with the arrays and numbers that `shapes.ARGUMENTS` says.

    ValueError or TypeError, before anything is written, where arguments do not fit. Arrays that a kernel cannot take as
    they lie, since they overlap or are not aligned, are copied.
    """
    name, filename = function.__name__, function.__code__.co_filename
    arguments = ARGUMENTS[name]
    names = ", ".join(arguments.given)
    if list(arguments.given) != list(function.__code__.co_varnames[: function.__code__.co_argcount]):
        raise TypeError(f"{name}: its arguments are not those in shapes.py")
    body = njit(inline="always", **OPTIONS)(function)
    values = {check.__name__: check for check in _COMPILED_CHECKS}
    values |= {"body": body, "__name__": function.__module__}
    checked = _make(name, arguments, [*_checks(arguments), f"body({names})", "return True"], filename, values)
    compiled = cached(_Table(checked, arguments), checked)
    values = {"compiled": compiled, "by_copies": functools.partial(_by_copies, name, arguments, compiled)}
    lines = [f"if not compiled({names}):", f"    by_copies({names})"]
    if {COUNT, WHOLE, KEY} & set(arguments.given.values()):  # a number that is too large for the kernel, or below 0
        lines = ["try:", f"    done = compiled({names})", "except OverflowError:", "    done = False", "if not done:"]
        lines.append(f"    by_copies({names})")
    call = _make(name, arguments, lines, filename, values)
    call.__module__, call.__doc__, call.__wrapped__ = function.__module__, function.__doc__, function
    call.py_func, call.compiled = function, compiled
    return call


class _Table(CPUDispatcher):
    """A dispatcher that has one compiled version for each dtype, and a table of all types that lead to it."""

    def __init__(self, function, arguments):
        super().__init__(function, targetoptions={"nopython": True, **OPTIONS})
        self._arguments = arguments

    def typeof_pyval(self, val):
        """The type of a value, of an array whose numbers do not lie at multiples of their size one of its own.

        Numba takes those for others, and keeps that for all arrays which are unusual in any way: also for such of
        another byte order, which would then be read as they are.
        """
        kind = super().typeof_pyval(val)
        if isinstance(val, np.ndarray) and isinstance(kind, types.Array) and not val.flags.aligned:
            return types.Array(kind.dtype, kind.ndim, kind.layout, readonly=not kind.mutable, aligned=False)
        return kind

    def _compile_for_args(self, *values):
        """Called from C where the table has no entry for the types of the values; returns what is to be called."""
        try:
            found = [self.typeof_pyval(value) for value in values]
        except Exception:  # of what Numba knows nothing
            return _refused
        wanted = self._version(found)
        if wanted is None:
            return _refused
        if wanted not in self.overloads:
            self.compile(wanted)
        entry = self.overloads[wanted].entry_point
        if tuple(found) != wanted:
            self._insert([kind._code for kind in found], entry, False)
        return entry

    def _version(self, found):
        """The types of the version that takes arguments of the types `found`; None if there is none."""
        arguments, dtype, wanted = self._arguments, None, []
        for kind, (name, shape) in zip(found, arguments.given.items(), strict=True):
            if shape in NUMBERS:
                number, fitting = _NUMBER_TYPES[shape]
                if not isinstance(kind, fitting):
                    return None
                wanted.append(number)
                continue
            if not isinstance(kind, types.Array) or kind.ndim != len(shape.split()) or not kind.aligned:
                return None
            is_written = name in arguments.written
            if is_written and not kind.mutable:
                return None
            if name in arguments.indices:
                is_known = isinstance(kind.dtype, types.Integer) or kind.dtype in _DTYPES
                if not is_known or kind.dtype == types.uint64:  # which has no common type with -1
                    return None
            else:
                dtype = dtype or kind.dtype
                if dtype not in _DTYPES or kind.dtype != dtype:
                    return None
            wanted.append(types.Array(kind.dtype, kind.ndim, "A", readonly=not is_written))
        return tuple(wanted)


def _refused(*values):
    return False


_PLAIN = {
    FLOAT: float,
    RATE: float,
    COUNT: int,
    WHOLE: int,
    KEY: int,
    YES_OR_NO: bool,
}  # what the dispatcher surely takes


def _copy(array, *, of_indices):
    """Without gaps; indices in a dtype that the kernels know."""
    dtype = array.dtype
    if of_indices and dtype not in (np.float32, np.float64):
        dtype = np.float64 if dtype.kind == "f" else np.int64
    return np.array(array, dtype, order="C", subok=False)


def _by_copies(name, arguments, compiled, *values):
    """Refuse arguments that do not fit, or else call the kernel with copies that lie well."""
    from .refusing import refuse

    given = dict(zip(arguments.given, values, strict=True))
    refuse(name, arguments, given)
    copies = {}
    for key, value in given.items():
        kind = arguments.given[key]
        copies[key] = _PLAIN[kind](value) if kind in NUMBERS else _copy(value, of_indices=key in arguments.indices)
    if not compiled(*copies.values()):
        raise AssertionError(f"{name}: its checks refuse what nothing is wrong with")
    for key in arguments.written:
        given[key][...] = copies[key]
