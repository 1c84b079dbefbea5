"""A kernel's page also shows its formula as NumPy: the function of the same name in `fastnet_kernels.reference`."""

import inspect

from fastnet_kernels import reference


def _add_formula(app, what, name, obj, options, lines):
    module, _, function = name.rpartition(".")
    if module == "fastnet_kernels.cpu":
        source = inspect.getsource(getattr(reference, function)).splitlines()
        lines += [
            "",
            ".. rubric:: The formula",
            "",
            f"As ``fastnet_kernels.reference.{function}`` has it, in NumPy:",
            "",
        ]
        lines += [".. code-block:: python", "", *(f"    {line}" for line in source), ""]


def setup(app):
    app.connect("autodoc-process-docstring", _add_formula, priority=900)  # after all that read the docstring
    return {"parallel_read_safe": True, "parallel_write_safe": True}
