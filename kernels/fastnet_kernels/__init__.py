"""The formulas of neural networks as kernels: one name for each, in one backend a machine.

`fastnet_kernels.reference` writes every formula as the textbook does, in plain NumPy; `fastnet_kernels.cpu` has the
same names compiled by Numba for all cores. Outputs are arguments: a kernel never allocates.
"""
