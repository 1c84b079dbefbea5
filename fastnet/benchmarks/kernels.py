"""Every public kernel as a subject of measurement: its arguments for a given shape, its work, its backends."""

import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import numpy as np
from fastnet_kernels import reference
from fastnet_kernels.shapes import ARGUMENTS, NUMBERS, Arguments, extents

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
# Layers of LeNet and of two networks for images of 32 x 32: samples, height, width, channels, filters, and the window.
_IMAGES: tuple[Shape, ...] = (
    (64, 28, 28, 1, 6, 5, 5),
    (64, 14, 14, 6, 16, 5, 5),
    (64, 32, 32, 3, 16, 3, 3),
    (64, 8, 8, 32, 64, 3, 3),
    (32, 32, 32, 64, 64, 3, 3),
    (32, 16, 16, 128, 128, 3, 3),
)
# Sequences of few and many units, and one step of one sequence: samples, steps, inputs, units.
_SEQUENCES: tuple[Shape, ...] = ((32, 50, 8, 32), (64, 100, 32, 128), (32, 100, 64, 256), (1, 1, 64, 64))
_TOKENS: tuple[Shape, ...] = ((64, 100, 64, 32), (64, 100, 5000, 128))  # samples, steps, rows of W, units


@dataclass(frozen=True)
class Subject:
    """One kernel: the shapes that it is measured at, by the letters of `dimensions`.

    What it is given is written down in `fastnet_kernels.shapes`. `multiply_adds` says how many its products have,
    by the letters; a kernel without any is bound by memory. Where inputs must be what another kernel makes of the same
    inputs, that is `forward`; what that one is given besides is 0. `numbers` are those of its arguments that are other
    than for most kernels, whole or computed from `dimensions`.
    """

    name: str
    dimensions: str
    shapes: tuple[Shape, ...]
    multiply_adds: str = ""
    forward: str = ""
    numbers: Mapping[str, int | str] = field(default_factory=dict)

    @property
    def arguments(self) -> Arguments:
        return ARGUMENTS[self.name]

    @property
    def outputs(self) -> dict[str, str]:
        """The written arrays, with their shapes; none of a kernel that changes its first ones in place."""
        given, written = self.arguments.given, self.arguments.written
        return {name: given[name] for name in written} if next(iter(given)) not in written else {}

    @property
    def inputs(self) -> dict[str, str]:
        """All other arguments: arrays with their shapes, and numbers."""
        return {name: shape for name, shape in self.arguments.given.items() if name not in self.outputs}

    @property
    def in_place(self) -> tuple[str, ...]:
        """The inputs that are changed."""
        return () if self.outputs else self.arguments.written

    @property
    def kind(self) -> str:
        """What it is one of: "products", "activations", "derivatives" of these, "losses", "layers" or "updates"."""
        if self.multiply_adds:
            return "products"
        if self.in_place:
            return "updates"
        if "L" in self.outputs:
            return "losses"
        return "derivatives" if "dZ" in self.outputs else "activations" if "Z" in self.inputs else "layers"


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
    "relu": False,
    "rate": 0.5,
    "key": np.uint64(0x0123456789ABCDEF),
    **dict.fromkeys(("pool_size", "stride", "pool_height", "pool_width", "stride_y", "stride_x"), 2),
}
_MUCH_USED = (
    "linear",
    "sigmoid",
    "tanh",
    "relu",
    "leaky_relu",
    "softmax",
    "squared_error",
    "log_loss",
    "cross_entropy",
)
_RARER = (
    "softplus",
    "silu",
    "gelu",
    "hard_silu",
    "hard_sigmoid",
    "elu",
    "absolute_error",
    "huber",
    "quantile",
    "hinge",
)
_SAME_PADDING: dict[str, int | str] = {
    **dict.fromkeys(("stride_y", "stride_x", "dilation_y", "dilation_x", "groups"), 1),
    **{"pad_y": "u//2", "pad_x": "v//2"},
}
_LARGE = ("batch_norm", "batch_norm_backward", "layer_norm", "layer_norm_backward", "dropout")


def _subjects() -> Iterator[Subject]:
    """Every kernel, in the order in which tables have them."""
    yield Subject("dense_forward", "mpn", _PRODUCTS, "m*p*n")
    yield Subject("dense_backward", "mpn", _PRODUCTS, "2*m*p*n")
    for names, shapes in ((_MUCH_USED, _MATRICES), (_RARER, _ONE_MATRIX)):
        for name in names:
            yield Subject(name, "mn", shapes)
            if f"{name}_backward" in ARGUMENTS:
                yield Subject(f"{name}_backward", "mn", shapes)
    for name in _LARGE:
        yield Subject(name, "mn", _TWO_MATRICES)
    for name, dimensions, shape in (("max_pool1d", "mtc", (64, 256, 32)), ("max_pool2d", "mhwc", (64, 28, 28, 32))):
        yield Subject(name, dimensions, (shape,))
        yield Subject(f"{name}_backward", dimensions, (shape,), forward=name)
    yield Subject("average_pool2d", "mhwc", ((64, 28, 28, 32),))
    yield Subject("average_pool2d_backward", "mhwc", ((64, 28, 28, 32),))
    for name in ("conv2d_forward", "conv2d_backward_data", "conv2d_backward_weights"):
        yield Subject(name, "mhwknuv", _IMAGES, "m*h*w*k*n*u*v", numbers=_SAME_PADDING)
    for name, rows in (("recurrent", 1), ("lstm", 4), ("gru", 3)):
        there, back = f"{name}_forward", f"{name}_backward"
        yield Subject(there, "mtpn", _SEQUENCES, f"{rows}*m*t*n*(p+n)")
        yield Subject(back, "mtpn", _SEQUENCES, f"2*{rows}*m*t*n*(p+n)", forward=there)
    yield Subject("embedding", "mtvn", _TOKENS)
    yield Subject("embedding_backward", "mtvn", _TOKENS)
    yield Subject("sgd", "n", _VECTORS)
    for name in ("sgd_momentum", "rmsprop", "adam", "adamw"):
        yield Subject(name, "n", _ONE_VECTOR)


SUBJECTS: dict[str, Subject] = {subject.name: subject for subject in _subjects()}


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
        subject = SUBJECTS[self.kernel]
        letters = dict(zip(subject.dimensions, self.shape, strict=True))
        return 2 * sum(extents(subject.multiply_adds, letters))

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
    letters = dict(zip(subject.dimensions, shape, strict=True))
    numbers = {name: extents(str(value), letters)[0] for name, value in subject.numbers.items()}
    known = {**_NUMBERS, **letters, **numbers}
    rng = np.random.default_rng(seed)

    def array(name: str, text: str) -> Any:
        if text in NUMBERS:
            return known[name]
        size = extents(text, known)
        if name in subject.arguments.indices:
            return rng.integers(0, known["v" if name == "indices" else "n"], size).astype(dtype)
        if name == "Y":
            return rng.integers(0, 2, size).astype(dtype)
        # As the factors of a layer have it: rows of W are of length about one, so that Z is of the size of A.
        scale = np.prod(size[1:]) ** -0.5 if name in ("W", "U") else 1.0
        found = rng.random(size) if name in ("A", "mean_square") else rng.standard_normal(size) * scale
        return found.astype(dtype)

    inputs = [array(name, text) for name, text in subject.inputs.items()]
    if subject.forward:
        named, there = dict(zip(subject.inputs, inputs, strict=True)), SUBJECTS[subject.forward]
        given = [
            named[name] if name in named else np.zeros(extents(text, known), dtype)
            for name, text in there.inputs.items()
        ]
        getattr(reference, subject.forward)(*given, *(named[name] for name in there.outputs))
    outputs = [np.empty(extents(text, known), dtype) for text in subject.outputs.values()]
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
