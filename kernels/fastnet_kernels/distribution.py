"""Whose package `import fastnet` finds: on PyPI that name is another project's, which has the same import name.

This project is `fastnet-numba` there. Installed together, both write into one folder `fastnet`, where files of either
take the place of the other's. This module lies elsewhere, so it can be trusted to tell.
"""

import importlib.util
import warnings
from importlib.machinery import ModuleSpec
from pathlib import Path

REPAIR = "pip uninstall -y fastnet fastnet-numba && pip install fastnet-numba"


def conflict() -> str | None:
    """What is wrong with the package that `import fastnet` finds, and what to do; None if it is this project's."""
    spec = importlib.util.find_spec("fastnet")
    if spec is None:
        return f"there is no package fastnet beside its kernels: run {REPAIR}"
    folder = next(iter(spec.submodule_search_locations or ()), "")
    if not _is_ours(spec):
        return f"`import fastnet` finds another project in {folder}, and not fastnet-numba: run {REPAIR}"
    return _mixture(Path(folder))


def warn_of_mixture(folder: Path) -> None:
    """For the package in `folder`, while it is imported: a warning if another project's files may be among its own."""
    fault = _mixture(folder)
    if fault is not None:
        warnings.warn(fault, stacklevel=3)  # the line that imports the package


def _mixture(folder: Path) -> str | None:
    """What is wrong if another project's installation is recorded beside the package in `folder`."""
    others = [path.name for path in folder.parent.glob("[Ff]ast[Nn]et-*-info")]
    if not others:
        return None
    return f"{others[0]} is installed over fastnet-numba in {folder}, and their files are mixed: run {REPAIR}"


def _is_ours(spec: ModuleSpec) -> bool:
    """Whether a package is the one that imports these kernels; it is read and not run, as another may do anything."""
    if spec.origin is None:
        return False  # a folder without __init__.py, which is what a half removed package leaves
    source = getattr(spec.loader, "get_source", lambda _: None)("fastnet")
    return source is None or "fastnet_kernels" in source
