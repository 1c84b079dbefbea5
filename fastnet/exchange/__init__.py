"""Networks from other libraries and for them: scikit-learn, PyTorch, and all that writes ONNX files."""

from .onnx import from_onnx
from .pytorch import from_torch, to_torch
from .scikit_learn import SKLEARN_ACTIVATIONS, from_sklearn

__all__ = ["SKLEARN_ACTIVATIONS", "from_onnx", "from_sklearn", "from_torch", "to_torch"]
