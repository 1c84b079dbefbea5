"""The public kernels: the names and formulas of `reference`, for arrays of any strides on all threads.

A kernel checks its arguments (`codegen.kernel`), cuts its arrays into runs or blocks that a formula of `layers`, `loss`
or `optimizers` takes, and shares these out among threads (`codegen.tasks`). Formulas stand where the compiled program has
them too.
"""
