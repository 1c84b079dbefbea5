"""Which tests of kernels are quick: a kernel compiles for each dtype, which takes longer than all its tests."""

import numpy as np
import pytest

# One of each family, which the quick tests compile for float32 as well, and whose arguments they look at.
QUICK = {
    "adam", "batch_norm", "conv2d_forward", "cross_entropy", "dense_backward", "dense_forward", "gelu_backward",
    "max_pool2d", "relu", "sgd", "softmax",
}  # fmt: skip


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """All else is for `pytest -m 'not gpu'`, as the continuous integration runs it."""
    for item in items:
        params = getattr(getattr(item, "callspec", None), "params", {})
        name, dtype = params.get("name"), params.get("dtype")
        if item.path.name == "test_kernels.py":
            is_quick = dtype is not np.float32 or any(each in item.nodeid for each in ("dense", "softmax", "relu"))
            takes_long = any(each in item.nodeid for each in ("test_conv", "test_recurrent", "indices_of_any_dtype"))
            is_quick = is_quick and not takes_long
        elif item.path.name == "test_recurrent_kernels.py":
            is_quick = False
        elif item.path.name == "test_arguments.py":
            is_quick = name is None or name in QUICK
        else:
            continue
        if not is_quick:
            item.add_marker(pytest.mark.slow)
