"""The package onnx, which is an extra."""

from typing import Any


def onnx_package() -> Any:
    """The module `onnx`; ModuleNotFoundError, with what to install, without it."""
    try:
        import onnx
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "ONNX files need the package onnx: pip install 'fastnet-numba[onnx]'", name="onnx"
        ) from error
    return onnx
