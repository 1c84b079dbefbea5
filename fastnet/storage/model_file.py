"""The container of a model: texts and tensors in one safetensors file, https://huggingface.co/docs/safetensors.

Reading trusts nothing: what the file says of its sizes is compared with the file before any of it is used.
"""

import contextlib
import errno
import json
import os
import stat
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .writing import AnyPath, replacing

_DTYPES = {
    "BOOL": np.dtype(np.bool_),
    "U8": np.dtype(np.uint8),
    "I8": np.dtype(np.int8),
    "U16": np.dtype(np.uint16),
    "I16": np.dtype(np.int16),
    "U32": np.dtype(np.uint32),
    "I32": np.dtype(np.int32),
    "U64": np.dtype(np.uint64),
    "I64": np.dtype(np.int64),
    "F16": np.dtype(np.float16),
    "F32": np.dtype(np.float32),
    "F64": np.dtype(np.float64),
}
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}
_MOST_HEADER = 100_000_000  # bytes; of all safetensors files
_MOST_SHOWN = 300  # letters of what is wrong with a file, which may quote it


class ModelFileError(ValueError):
    """A file that holds no model, or a damaged one: the message names the file, what is wrong, and what to do."""


@dataclass(frozen=True)
class Tensor:
    """One array of a file, which is read when it is wanted."""

    dtype: np.dtype | None  # None: one that NumPy does not have
    shape: tuple[int, ...]
    read: Callable[[], np.ndarray]

    @classmethod
    def of(cls, array: np.ndarray) -> "Tensor":
        return cls(array.dtype, array.shape, lambda: array)

    def first(self, count: int) -> "Tensor":
        """The first `count` entries."""
        return Tensor(self.dtype, (count, *self.shape[1:]), lambda: self.read()[:count])

    def __str__(self) -> str:
        return f"{self.dtype or 'of an unknown dtype'} {self.shape}"


Tensors = dict[str, Tensor]


def take(
    tensors: Tensors, name: str, dtype: np.dtype | type | None = None, shape: tuple[int, ...] | None = None
) -> Tensor:
    """Take the tensor `name` out; ValueError unless it is there, of this dtype and shape where they are given."""
    tensor = tensors.pop(name, None)
    if tensor is None:
        raise ValueError(f"the tensor {name} is missing")
    if tensor.dtype is None:
        raise ValueError(f"the tensor {name} is {tensor}")
    dtype = tensor.dtype if dtype is None else np.dtype(dtype)
    shape = tensor.shape if shape is None else shape
    if (tensor.dtype, tensor.shape) != (dtype, shape):
        raise ValueError(f"the tensor {name} is {tensor}, and not {dtype} {shape}")
    return tensor


def can_hold(array: np.ndarray) -> bool:
    """Whether a file can hold arrays of this dtype."""
    return array.dtype.newbyteorder("=") in _NAMES


def write(path: AnyPath, metadata: Mapping[str, str], arrays: Mapping[str, np.ndarray]) -> None:
    """Write texts and arrays, whole or not at all.

    One array after the other goes to the file: safetensors itself would want copies of those that are not contiguous,
    all at once.
    """
    header: dict[str, Any] = {"__metadata__": dict(metadata)}
    end = 0
    # The largest numbers first, so that each array lies at a multiple of its numbers' size.
    for name in sorted(arrays, key=lambda name: (-arrays[name].itemsize, name)):
        array, start = arrays[name], end
        end += array.nbytes
        dtype = _NAMES[array.dtype.newbyteorder("=")]
        header[name] = {"dtype": dtype, "shape": list(array.shape), "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    if len(text) > _MOST_HEADER:
        raise ValueError(
            f"labels, history and settings take {len(text)} bytes: a file has room for {_MOST_HEADER} beside the arrays"
        )
    with replacing(path) as file:
        file.write(struct.pack("<Q", len(text)))
        file.write(text)
        for name in header:
            if name != "__metadata__":
                array = np.ascontiguousarray(arrays[name], arrays[name].dtype.newbyteorder("<"))
                file.write(array.reshape(-1).view(np.uint8).data)


@contextlib.contextmanager
def reading(path: AnyPath) -> Iterator[tuple[dict[str, str], Tensors]]:
    """The texts and tensors of a file; the latter can be read while the context lasts.

    Raises
    ------
    OSError
        If it cannot be read.
    ModelFileError
        If it is no whole safetensors file.
    """
    from safetensors import SafetensorError, safe_open

    given = os.fsdecode(path)
    _check_size_of_header(given)
    try:
        with safe_open(given, framework="numpy") as file:
            tensors = {name: _tensor(file, name) for name in file.keys()}  # noqa: SIM118 - not a mapping
            yield file.metadata() or {}, tensors
    except SafetensorError as error:
        raise _no_model(given, error) from error


def _check_size_of_header(given: str) -> None:
    try:
        status = os.stat(given)
    except FileNotFoundError as error:
        text = f"{given} is no file: give the path of a model written by Network.save"
        raise FileNotFoundError(errno.ENOENT, text) from error
    if not stat.S_ISREG(status.st_mode):
        is_folder = stat.S_ISDIR(status.st_mode)
        text = f"{given} is {'a folder' if is_folder else 'no regular file'}: give the path of a model"
        raise OSError(errno.EISDIR if is_folder else errno.EINVAL, text)
    with open(given, "rb") as file:
        begin = file.read(8)
    size = struct.unpack("<Q", begin)[0] if len(begin) == 8 else 0
    if not 2 <= size <= min(_MOST_HEADER, status.st_size - 8):
        raise _no_model(given, f"a header of {size} bytes in a file of {status.st_size}")


def shortened(why: object) -> str:
    """What is wrong, short enough for a message."""
    text, half = str(why), _MOST_SHOWN // 2
    return text if len(text) <= _MOST_SHOWN else f"{text[:half]} ... {text[-half:]}"


def _no_model(given: str, why: object) -> ModelFileError:
    return ModelFileError(f"{given} is not a fastnet model, or is cut short ({shortened(why)}): save it again")


def _tensor(file: Any, name: str) -> Tensor:
    found = file.get_slice(name)
    # What is read belongs to the reader, who may write to it.
    read = lambda: np.require(file.get_tensor(name), requirements=["C", "W"])  # noqa: E731
    return Tensor(_DTYPES.get(str(found.get_dtype())), tuple(found.get_shape()), read)
