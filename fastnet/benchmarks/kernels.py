"""Every public kernel as a subject of measurement: its arguments for a given shape, its work, its backends."""

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
from fastnet_kernels import reference

from .timing import Queued

Shape = tuple[int, ...]

# From tiny over the first and second cache to beyond all of them.
_MATRICES: tuple[Shape, ...] = ((4, 4), (64, 64), (256, 256), (2048, 4096))
_PRODUCTS: tuple[Shape, ...] = ((1, 784, 64), (32, 64, 64), (128, 784, 128), (256, 512, 512), (1024, 2048, 2048))
_VECTORS: tuple[Shape, ...] = ((100,), (10_000,), (100_000,), (10_000_000,))
# One that fits the second cache, for kernels that differ from others in their formula only.
_ONE_MATRIX: tuple[Shape, ...] = ((256, 256),)
_ONE_VECTOR: tuple[Shape, ...] = ((100_000,),)
_TWO_MATRICES: tuple[Shape, ...] = ((256, 256), (2048, 4096))


@dataclass(frozen=True)
class Subject:
    """One kernel: the letters of its shape, and the letters that each argument's own shape is made of.

    A capital is half of an extent, and an argument without letters is a number. `products` counts the matrix products
    in it, 2 m p n operations each; a kernel without any is bound by memory. `in_place` names the arguments that are
    changed, the first ones. Where the input A must be what another kernel makes of the same inputs, that is `forward`.
    """

    dimensions: str
    shapes: tuple[Shape, ...]
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    products: int = 0
    in_place: tuple[str, ...] = ()
    forward: str = ""

    @property
    def kind(self) -> str:
        """What it is one of: "products", "activations", "derivatives" of these, "losses", "layers" or "updates"."""
        if self.products:
            return "products"
        if self.in_place:
            return "updates"
        if "L" in self.outputs:
            return "losses"
        return "derivatives" if "dZ" in self.outputs else "activations" if "Z" in self.inputs else "layers"


def _elementwise(*inputs: str, shapes: tuple[Shape, ...] = _MATRICES) -> Subject:
    given = {name: "" if name in _NUMBERS else "mn" for name in inputs}
    return Subject("mn", shapes, given, {"dZ" if "dA" in inputs else "A": "mn"})


def _loss(output: str, Y: str, *numbers: str, shapes: tuple[Shape, ...] = _MATRICES) -> Subject:
    given = {output: "mn", "Y": Y, **dict.fromkeys(numbers, "")}
    return Subject("mn", shapes, given, {"L": "m", f"d{output}": "mn"})


def _normalisation(sample: str, *means: str) -> tuple[Subject, Subject]:
    """There and back: mean and rate are an entry a unit, "n", or a sample, "m"."""
    given, measured = {"gamma": "n"}, {"mean": sample, "rate": sample}
    there = Subject("mn", _TWO_MATRICES, {"A_prev": "mn", **given, "beta": "n", "epsilon": ""}, {**measured, "A": "mn"})
    sums = {**dict.fromkeys(means, "2m"), "dgamma": "n", "dbeta": "n", "dA_prev": "mn"}
    return there, Subject("mn", _TWO_MATRICES, {"dA": "mn", "A_prev": "mn", **given, **measured}, sums)


def _pooling(name: str, shape: Shape, dimensions: str, *numbers: str) -> dict[str, Subject]:
    """There and back, by windows of 2 which lie side by side along all extents but samples and channels."""
    halves, given = dimensions[0] + dimensions[1:-1].upper() + dimensions[-1], dict.fromkeys(numbers, "")
    back = {"dA": halves, "A_prev": dimensions, "A": halves, **given}
    return {
        name: Subject(dimensions, (shape,), {"A_prev": dimensions, **given}, {"A": halves}),
        f"{name}_backward": Subject(dimensions, (shape,), back, {"dA_prev": dimensions}, forward=name),
    }


def _update(*states: str, numbers: Sequence[str]) -> Subject:
    given = {"parameters": "n", "gradients": "n", **dict.fromkeys(states, "n"), **dict.fromkeys(numbers, "")}
    return Subject("n", _ONE_VECTOR if states else _VECTORS, given, {}, in_place=("parameters", *states))


_NUMBERS: dict[str, Any] = {
    "slope": 0.01,
    "alpha": 1.0,
    "delta": 1.0,
    "q": 0.7,
    "smoothing": 0.0,
    "epsilon": 1e-5,
    "step": 10,
    "learning_rate": 1e-6,
    "momentum": 0.9,
    "decay": 0.99,
    "beta1": 0.9,
    "beta2": 0.999,
    "weight_decay": 0.01,
    "nesterov": True,
    "rate": 0.5,
    "key": np.uint64(0x0123456789ABCDEF),
    **dict.fromkeys(("pool_size", "stride", "pool_height", "pool_width", "stride_y", "stride_x"), 2),
}
_ADAM = ("step", "learning_rate", "beta1", "beta2", "epsilon", "weight_decay")
_BATCH_NORM, _BATCH_NORM_BACKWARD = _normalisation("n")
_LAYER_NORM, _LAYER_NORM_BACKWARD = _normalisation("m", "means")


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
    "cross_entropy": _loss("Z", "m1", "smoothing"),
    "sgd": _update(numbers=["learning_rate"]),
    **{name: _elementwise("Z", shapes=_ONE_MATRIX) for name in ("softplus", "silu", "gelu", "hard_silu")},
    "hard_sigmoid": _elementwise("Z", shapes=_ONE_MATRIX),
    **{
        f"{name}_backward": _elementwise("dA", "Z", shapes=_ONE_MATRIX)
        for name in ("softplus", "silu", "gelu", "hard_silu")
    },
    "hard_sigmoid_backward": _elementwise("dA", "A", shapes=_ONE_MATRIX),
    "elu": _elementwise("Z", "alpha", shapes=_ONE_MATRIX),
    "elu_backward": _elementwise("dA", "Z", "alpha", shapes=_ONE_MATRIX),
    "absolute_error": _loss("A", "mn", shapes=_ONE_MATRIX),
    "huber": _loss("A", "mn", "delta", shapes=_ONE_MATRIX),
    "quantile": _loss("A", "mn", "q", shapes=_ONE_MATRIX),
    "hinge": _loss("Z", "mn", shapes=_ONE_MATRIX),
    "batch_norm": _BATCH_NORM,
    "batch_norm_backward": _BATCH_NORM_BACKWARD,
    "layer_norm": _LAYER_NORM,
    "layer_norm_backward": _LAYER_NORM_BACKWARD,
    "dropout": Subject("mn", _TWO_MATRICES, {"A_prev": "mn", "rate": "", "key": ""}, {"A": "mn"}),
    **_pooling("max_pool1d", (64, 256, 32), "mtc", "pool_size", "stride"),
    **_pooling("max_pool2d", (64, 28, 28, 32), "mhwc", "pool_height", "pool_width", "stride_y", "stride_x"),
    "sgd_momentum": _update("velocity", numbers=["learning_rate", "momentum", "weight_decay", "nesterov"]),
    "rmsprop": _update(
        "velocity", "mean_square", numbers=["learning_rate", "decay", "momentum", "epsilon", "weight_decay"]
    ),
    "adam": _update("mean", "mean_square", numbers=_ADAM),
    "adamw": _update("mean", "mean_square", numbers=_ADAM),
}


@dataclass
class Case:
    """A kernel with arguments of one shape, dtype and layout in memory."""

    kernel: str
    shape: Shape
    inputs: list[Any]
    outputs: list[np.ndarray]
    layout: str = "C"

    @property
    def flops(self) -> int:
        return 2 * SUBJECTS[self.kernel].products * int(np.prod(self.shape))

    @property
    def bytes(self) -> int:
        """What has to be read and written at the least: every array once, one that is changed in place twice."""
        arrays = [value for value in self.inputs if isinstance(value, np.ndarray)] + self.outputs
        arrays += self.changed(self.inputs)
        return sum(array.nbytes for array in arrays)

    def bound(self, backend: ModuleType) -> Callable[[], object]:
        """A call of this kernel of `backend` on the arguments, which are in a GPU's memory already."""
        kernel = getattr(backend, self.kernel)
        arguments = [*self.inputs, *self.outputs]
        if backend.__name__.endswith("cuda"):
            from fastnet_kernels.cuda.codegen.compiling import cuda

            arguments = [cuda.to_device(value) if isinstance(value, np.ndarray) else value for value in arguments]
            return Queued(lambda: kernel(*arguments), cuda.synchronize)
        return lambda: kernel(*arguments)

    def results(self, backend: ModuleType) -> list[np.ndarray]:
        """What the kernel computes, in arrays of its own."""
        inputs, outputs = self.copies()
        getattr(backend, self.kernel)(*inputs, *outputs)
        return outputs or self.changed(inputs)

    def copies(self) -> tuple[list[Any], list[np.ndarray]]:
        """Inputs and outputs in memory of their own, which lie as these do."""
        inputs = [laid_out(value, self.layout) if isinstance(value, np.ndarray) else value for value in self.inputs]
        return inputs, [laid_out(array, self.layout) for array in self.outputs]

    def changed(self, inputs: Sequence[Any]) -> list[np.ndarray]:
        """Of the inputs, those that are changed in place."""
        subject = SUBJECTS[self.kernel]
        return [value for name, value in zip(subject.inputs, inputs, strict=True) if name in subject.in_place]


LAYOUTS = ("C", "F", "strided")


def laid_out(numbers: np.ndarray, layout: str) -> np.ndarray:
    """A copy with contiguous rows ("C") or columns ("F"), or which is every other number of longer rows ("strided")."""
    if layout == "strided":
        found = np.zeros((*numbers.shape[:-1], 2 * numbers.shape[-1]), numbers.dtype)[..., ::2]
    else:
        found = np.empty(numbers.shape, numbers.dtype, order=layout)  # type: ignore[call-overload]
    found[...] = numbers
    return found


def make_case(kernel: str, shape: Shape, dtype: str, seed: int = 0, layout: str = "C") -> Case:
    """Random arguments for one kernel; the same numbers, rounded, for every dtype, and in every layout."""
    subject = SUBJECTS[kernel]
    extents = {"1": 1, "2": 2, **dict(zip(subject.dimensions, shape, strict=True))}
    extents |= {letter.upper(): extent // 2 for letter, extent in extents.items() if letter.isalpha()}
    rng = np.random.default_rng(seed)

    def array(name: str, letters: str) -> Any:
        if not letters:
            return _NUMBERS[name]
        size = [extents[letter] for letter in letters]
        if name == "Y":
            return rng.integers(0, extents["n"] if letters == "m1" else 2, size).astype(dtype)
        # As the factors of a layer have it: rows of W are of length about one, so that Z is of the size of A.
        scale = size[1] ** -0.5 if name == "W" else 1.0
        numbers = rng.random(size) if name in ("A", "mean_square") else rng.standard_normal(size) * scale
        return numbers.astype(dtype)

    inputs = [array(name, letters) for name, letters in subject.inputs.items()]
    if subject.forward:
        named = dict(zip(subject.inputs, inputs, strict=True))
        getattr(reference, subject.forward)(*(named[name] for name in SUBJECTS[subject.forward].inputs), named["A"])
    outputs = [np.empty([extents[letter] for letter in letters], dtype) for letters in subject.outputs.values()]
    if layout != "C":
        inputs = [laid_out(value, layout) if isinstance(value, np.ndarray) else value for value in inputs]
        outputs = [laid_out(array, layout) for array in outputs]
    return Case(kernel, shape, inputs, outputs, layout)


def backends() -> tuple[dict[str, ModuleType], list[str]]:
    """The backends that can run here, reference first, and a line about each that cannot."""
    found, missing = {}, []
    for name in ("reference", "cpu", "cuda"):
        try:
            module = importlib.import_module(f"fastnet_kernels.{name}")
        except ImportError as error:
            missing.append(f"{name}: left out, it cannot run here ({error})")
            continue
        reason = module.codegen.compiling.why_not() if name == "cuda" else None
        if reason is None:
            found[name] = module
        else:
            missing.append(f"{name}: left out, {reason}")
    return found, missing


def largest_error(found: Sequence[np.ndarray], expected: Sequence[np.ndarray]) -> float:
    """The largest difference in any output, relative to that output's largest number."""
    worst = 0.0
    for a, b in zip(found, expected, strict=True):
        scale = np.abs(b).max(initial=0)
        if scale > 0:
            worst = max(worst, float(np.abs(a - b).max() / scale))
    return worst
