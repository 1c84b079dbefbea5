"""Running networks on a CUDA GPU."""
