"""Networks in ONNX files: `writing` makes one, `graph` and `patterns` read what others have made."""
