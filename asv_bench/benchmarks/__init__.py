"""asv benchmarks of fastnet, one file a subject. The cases are those of `fastnet.benchmarks`, as `fastnet compare`
prints them; a commit from before that package has no figures here.

Data is made in `setup`, and every kernel is compiled there too: compiling is measured on its own, in `startup.py`.
"""

import contextlib

with contextlib.suppress(ModuleNotFoundError):  # in commits from before it
    from fastnet_kernels.distribution import conflict

    if (fault := conflict()) is not None:
        raise ImportError(fault)
