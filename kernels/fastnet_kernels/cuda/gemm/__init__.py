"""Matrix products: read `tiles`, then `tasks`, which the program runs; `cublas` is NVIDIA's library."""
