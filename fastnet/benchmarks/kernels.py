"""Every public kernel as a subject of measurement: its arguments for a given shape, its work, its rooms."""

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

Shape = tuple[int, ...]

# From tiny over the first and second cache to beyond all of them.
_MATRICES: tuple[Shape, ...] = ((4, 4), (64, 64), (256, 256), (2048, 4096))
_PRODUCTS: tuple[Shape, ...] = ((1, 784, 64), (32, 64, 64), (128, 784, 128), (256, 512, 512), (1024, 2048, 2048))
_VECTORS: tuple[Shape, ...] = ((100,), (10_000,), (100_000,), (10_000_000,))


@dataclass(frozen=True)
class Subject:
    """One kernel: the letters of its shape, and the letters that each argument's own shape is made of.

    An argument without letters is a number. `products` counts the matrix products in it, 2 m p n operations each; a
    kernel without any is bound by memory. `in_place` names the argument that is changed.
    """

    dimensions: str
    shapes: tuple[Shape, ...]
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    products: int = 0
    in_place: str | None = None


def _elementwise(*inputs: str) -> Subject:
    given = {name: "" if name == "slope" else "mn" for name in inputs}
    return Subject("mn", _MATRICES, given, {"dZ" if "dA" in inputs else "A": "mn"})


def _loss(output: str, Y: str) -> Subject:
    return Subject("mn", _MATRICES, {output: "mn", "Y": Y}, {"L": "m", f"d{output}": "mn"})


SUBJECTS: dict[str, Subject] = {
    "dense_forward": Subject("mpn", _PRODUCTS, {"A_prev": "mp", "W": "np", "b": "n"}, {"Z": "mn"}, products=1),
    "dense_backward": Subject(
        "mpn",
        _PRODUCTS,
        {"dZ": "mn", "A_prev": "mp", "W": "np"},
        {"dW": "np", "db": "n", "dA_prev": "mp"},
        products=2,
    ),
    **{name: _elementwise("Z") for name in ("linear", "sigmoid", "tanh", "relu", "softmax")},
    "leaky_relu": _elementwise("Z", "slope"),
    **{f"{name}_backward": _elementwise("dA", "A") for name in ("linear", "sigmoid", "tanh", "relu")},
    "leaky_relu_backward": _elementwise("dA", "A", "slope"),
    "squared_error": _loss("A", "mn"),
    "log_loss": _loss("Z", "mn"),
    "cross_entropy": _loss("Z", "m1"),
    "sgd": Subject(
        "n", _VECTORS, {"parameters": "n", "gradients": "n", "learning_rate": ""}, {}, in_place="parameters"
    ),
}
_NUMBERS = {"slope": 0.01, "learning_rate": 1e-6}


@dataclass
class Case:
    """A kernel with arguments of one shape and dtype."""

    kernel: str
    shape: Shape
    inputs: list[Any]
    outputs: list[np.ndarray]

    @property
    def flops(self) -> int:
        return 2 * SUBJECTS[self.kernel].products * int(np.prod(self.shape))

    @property
    def bytes(self) -> int:
        """What has to be read and written at the least: every array once, one that is changed in place twice."""
        arrays = [value for value in self.inputs if isinstance(value, np.ndarray)] + self.outputs
        if SUBJECTS[self.kernel].in_place is not None:
            arrays.append(self.inputs[0])
        return sum(array.nbytes for array in arrays)

    def bound(self, room: ModuleType) -> Callable[[], object]:
        """A call of this kernel of `room` on the arguments."""
        kernel = getattr(room, self.kernel)
        return lambda: kernel(*self.inputs, *self.outputs)

    def results(self, room: ModuleType) -> list[np.ndarray]:
        """What the kernel computes, in arrays of its own."""
        inputs = [value.copy() if isinstance(value, np.ndarray) else value for value in self.inputs]
        outputs = [np.empty_like(array) for array in self.outputs]
        getattr(room, self.kernel)(*inputs, *outputs)
        return [inputs[0]] if SUBJECTS[self.kernel].in_place is not None else outputs


def make_case(kernel: str, shape: Shape, dtype: str, seed: int = 0) -> Case:
    """Random arguments for one kernel; the same numbers, rounded, for every dtype."""
    subject = SUBJECTS[kernel]
    extents = {"1": 1, **dict(zip(subject.dimensions, shape, strict=True))}
    rng = np.random.default_rng(seed)

    def array(name: str, letters: str) -> Any:
        if not letters:
            return _NUMBERS[name]
        size = [extents[letter] for letter in letters]
        if name == "Y":
            return rng.integers(0, extents["n"] if letters == "m1" else 2, size).astype(dtype)
        # As the factors of a layer have it: rows of W are of length about one, so that Z is of the size of A.
        scale = size[1] ** -0.5 if name == "W" else 1.0
        numbers = rng.random(size) if name == "A" else rng.standard_normal(size) * scale
        return numbers.astype(dtype)

    inputs = [array(name, letters) for name, letters in subject.inputs.items()]
    outputs = [np.empty([extents[letter] for letter in letters], dtype) for letters in subject.outputs.values()]
    return Case(kernel, shape, inputs, outputs)


def rooms() -> tuple[dict[str, ModuleType], list[str]]:
    """The rooms that can run here, reference first, and a line about each that cannot."""
    found, missing = {}, []
    for name in ("reference", "cpu", "cuda"):
        try:
            found[name] = importlib.import_module(f"fastnet_kernels.{name}")
        except ImportError as error:
            missing.append(f"{name}: left out, it cannot run here ({error})")
    return found, missing


def largest_error(found: Sequence[np.ndarray], expected: Sequence[np.ndarray]) -> float:
    """The largest difference in any output, relative to that output's largest number."""
    worst = 0.0
    for a, b in zip(found, expected, strict=True):
        scale = np.abs(b).max(initial=0)
        if scale > 0:
            worst = max(worst, float(np.abs(a - b).max() / scale))
    return worst
