"""Matrix products, from the micro-kernels in registers up: read `micro_kernels`, then `macro_kernel`."""
