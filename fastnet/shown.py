"""How settings are shown: as the call that makes them, without what is by default."""

import dataclasses
from collections.abc import Collection
from typing import Any


def as_call(value: Any, name: str, always: Collection[str] = ()) -> str:
    """`value`, a dataclass, as `name(...)`; what must be given, or is `always` shown, comes first and bare."""
    first, others = [], []
    for field in dataclasses.fields(value):
        own = getattr(value, field.name)
        if field.name in always or (field.default is dataclasses.MISSING and not field.kw_only):
            first.append(repr(own))
        elif own != field.default:
            others.append(f"{field.name}={own!r}")
    return f"{name}({', '.join(first + others)})"
