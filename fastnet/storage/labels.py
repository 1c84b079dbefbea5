"""The labels of a classification as JSON, and back."""

import re
from typing import Any

import numpy as np

from ..checks import whole_number
from .json_checks import fields, sequence

_DTYPE = re.compile(r"[<>|=]?(b1|[iu][1248]|U[1-9]\d{0,7})")
_MOST_BYTES = 1 << 26  # of all labels: a width of texts that is a mere number in the file could be any
_KINDS = {"b": bool, "i": int, "u": int, "U": str}


def labels_to_json(classes: np.ndarray) -> dict[str, Any]:
    """{"dtype": ..., "values": [...]}."""
    return {"dtype": classes.dtype.str, "values": classes.tolist()}


def labels_from_json(where: str, given: Any, n_classes: int) -> np.ndarray:
    """The labels by class; ValueError, TypeError unless they are `n_classes`, of their dtype, sorted and different."""
    found = fields(where, given, ("dtype", "values"))
    values = sequence(f"{where}.values", found["values"])
    if len(values) != n_classes:
        raise ValueError(f"{where}.values has {len(values)} labels for {n_classes} classes")
    if not isinstance(found["dtype"], str) or not _DTYPE.fullmatch(found["dtype"]):
        raise ValueError(f"{where}.dtype is {found['dtype']!r}: labels are integers, strings or booleans")
    dtype = np.dtype(found["dtype"])
    if len(values) * dtype.itemsize > _MOST_BYTES:
        raise ValueError(f"{where}.dtype is {dtype.str!r}, too wide for {n_classes} labels: {_MOST_BYTES} bytes in all")
    for i, value in enumerate(values):
        _check(f"{where}.values[{i}]", value, dtype)
    labels: np.ndarray = np.array(values, dtype)
    if labels.tolist() != values or not (labels[:-1] < labels[1:]).all():
        raise ValueError(f"{where}.values are not sorted, not all different, or longer than {dtype.str}")
    return labels


def _check(where: str, value: object, dtype: np.dtype) -> None:
    if type(value) is not _KINDS[dtype.kind]:
        raise TypeError(f"{where} is {value!r}, and the labels are {dtype}")
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        if whole_number(where, value, int(limits.min)) > limits.max:
            raise ValueError(f"{where}={value} is too large for {dtype}")
