"""A graph as steps in a row, each made of the one before: nodes, and patterns of nodes that mean one operator."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np

from .graph import RECURRENT, Graph, attributes_of, shown_node
from .package import onnx_package


@dataclass(frozen=True)
class Step:
    """One operator on the value before it."""

    operator: str  # with its domain if that is another than ONNX's
    shown: str  # for messages
    of: str  # the value it takes
    inputs: tuple[np.ndarray | None, ...]  # constants in their places; None for the value, and for what is left out
    attributes: dict[str, Any]
    output: int = 0  # which one of the node it is

    def constant(self, place: int) -> np.ndarray | None:
        """The constant in a place; None without one."""
        return self.inputs[place] if place < len(self.inputs) else None


Pattern = Any  # Z; a number, or an array of one; or (operator, *operands), with a dict among them of its attributes
Z = "z"  # the value that a pattern is a function of, the same wherever it stands
_NUMBER = 1e-6  # how far a constant may be from the pattern's, relatively: that of a file is float32

_HARD_SIGMOID = ("HardSigmoid", {"alpha": 1 / 6, "beta": 0.5}, Z)
_ERF = (("Div", Z, 2**0.5), ("Mul", Z, 0.5**0.5))
_PATTERNS: list[tuple[str, Pattern]] = [
    ("Silu", ("Mul", Z, ("Sigmoid", Z))),
    ("HardSwish", ("Mul", Z, _HARD_SIGMOID)),
    # PyTorch's softplus is z itself from 20 on.
    ("Softplus", ("Where", ("Greater", Z, 20.0), Z, ("Softplus", Z))),
    # The probabilities of two classes from that of the second one.
    ("TwoClasses", ("Concat", {"axis": 1}, ("Sub", 1.0, Z), Z)),
    ("Flatten", ("Reshape", Z, ("Concat", ("Unsqueeze", ("Gather", ("Shape", Z), 0.0), 0.0), -1.0))),
]
for _axis in (1, -1):
    for _places in ((-2.0, -1.0), (0.0, 1.0)):
        _taken = [("Gather", {"axis": 0}, Z, _place) for _place in _places]
        _PATTERNS.append(("BothDirections", ("Concat", {"axis": _axis}, *_taken)))
# The last two of four axes become one.
_extents = [("Slice", ("Shape", Z), float(_start), float(_start + 1)) for _start in range(4)]
_PATTERNS.append(("MergeLast", ("Reshape", Z, ("Concat", *_extents[:2], ("Reshape", ("Mul", *_extents[2:]), -1.0)))))
for _scaled in _ERF:
    _one_and_erf = ("Add", ("Erf", _scaled), 1.0)
    _PATTERNS += [
        ("Gelu", ("Mul", ("Mul", Z, _one_and_erf), 0.5)),
        ("Gelu", ("Mul", Z, ("Mul", _one_and_erf, 0.5))),
        ("Gelu", ("Mul", ("Mul", Z, 0.5), _one_and_erf)),
    ]


def steps_to(graph: Graph, value: str) -> list[Step]:
    """The steps from the graph's input to a value.

    Raises ValueError, which names the node, where a value is made of several, or of none that depends on the input.
    """
    found: list[Step] = []
    value = graph.same_as(value)
    while value != graph.input:
        if value not in graph.producers:
            raise ValueError(f"the value {value} depends on no input, or is not the first output of its node")
        step = _pattern_at(graph, value) or _node_at(graph, value)
        found.append(step)
        value = graph.same_as(step.of)
    return found[::-1]


def _node_at(graph: Graph, value: str) -> Step:
    onnx, node = onnx_package(), graph.producers[value]
    of = [name for name in node.input if name and name not in graph.constants]
    if node.op_type in RECURRENT:  # which begins with states of 0, as many as there are samples
        of = [
            name
            for place, name in enumerate(node.input)
            if name in of and not (place in (5, 6) and graph.is_zero(name))
        ]
    if len(of) != 1:
        raise ValueError(
            f"{shown_node(node)} takes {len(of)} values that depend on the input: fastnet has layers in a row, each of "
            "which takes what the one before it makes"
        )
    inputs = tuple(graph.constants.get(name) for name in node.input)
    operator = f"{node.domain}.{node.op_type}" if node.domain not in ("", "ai.onnx") else node.op_type
    place = list(node.output).index(value)
    return Step(operator, shown_node(node), of[0], inputs, attributes_of(onnx, node), place)


def _pattern_at(graph: Graph, value: str) -> Step | None:
    node = graph.producers[value]
    for operator, pattern in _PATTERNS:
        if pattern[0] == node.op_type:
            of = next((z for z in _bindings(graph, value, pattern) if z is not None), None)
            if of is not None:
                return Step(operator, shown_node(node), of, (), {})
    return None


def _bindings(graph: Graph, name: str, pattern: Pattern) -> Iterator[str | None]:
    """What `Z` has to be for a value to be this pattern; None where it may be anything."""
    name = graph.same_as(name)
    if pattern is Z:
        yield name
    elif isinstance(pattern, float):
        array = graph.constants.get(name)
        if array is not None and array.size == 1 and array.dtype.kind in "fi":
            number = float(array.reshape(()))
            if abs(number - pattern) <= _NUMBER * abs(pattern):
                yield None
    else:
        yield from _bindings_of_node(graph, name, pattern)


def _bindings_of_node(graph: Graph, name: str, pattern: Pattern) -> Iterator[str | None]:
    operator, node = pattern[0], graph.producers.get(name)
    wanted = pattern[1] if isinstance(pattern[1], dict) else {}
    operands = pattern[2:] if wanted else pattern[1:]
    if node is None or node.op_type != operator or node.domain or len(node.input) != len(operands):
        return
    given = {"alpha": 0.2, "beta": 0.5} | attributes_of(onnx_package(), node)
    if any(abs(given.get(key, np.inf) - number) > _NUMBER for key, number in wanted.items()):
        return
    for order in permutations(operands) if operator in ("Add", "Mul") else [operands]:
        found: set[str | None] = {None}
        for operand, each in zip(node.input, order, strict=True):
            possible = list(_bindings(graph, operand, each))
            found = {_both(one, other) for one in found for other in possible if _agree(one, other)}
        yield from found


def _agree(one: str | None, other: str | None) -> bool:
    return one is None or other is None or one == other


def _both(one: str | None, other: str | None) -> str | None:
    return other if one is None else one
