"""Networks from other libraries and for them: scikit-learn, PyTorch, and all that writes ONNX files."""
