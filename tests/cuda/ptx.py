"""Compiles every CUDA kernel for sm_80 and sm_90, without a GPU, has ptxas assemble it, and prints what it needs.

python tests/cuda/ptx.py            # as a table
python tests/cuda/ptx.py --json
"""

import importlib.util
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numba
import numpy as np
from fastnet_kernels.cuda import loss, optimizers
from fastnet_kernels.cuda.codegen.compiling import cuda
from fastnet_kernels.cuda.layers import (
    activation,
    average_pool,
    batch_norm,
    conv,
    dense,
    dropout,
    embedding,
    layer_norm,
    max_pool,
)
from fastnet_kernels.cuda.layers.recurrent import kernels as recurrent
from fastnet_kernels.cuda.program import run
from numba.cuda import compiler, dispatcher

# Arguments by letter: v a vector of the dtype, i a whole number, d a real one; I, D and B vectors of int64, float64 and
# uint8; two or three of a letter for so many dimensions.
KERNELS = {
    dense._multiply_small: "v i i v i i i v i i i i i i v i",
    dense._multiply_medium: "v i i v i i i v i i i i i i v i",
    dense._multiply_large: "v i i v i i i v i i i i i i v i",
    dense.sum_columns: "v i i v",
    activation._activate: "i d v v",
    activation._derive: "i d v v v",
    activation._softmax: "i v v",
    loss._losses: "i d i i v v v v",
    batch_norm._batch_norm: "i i d v v v v v v",
    batch_norm._batch_norm_backward: "i i v v v v v v v v",
    layer_norm._layer_norm: "i i d v v v v v v",
    layer_norm._layer_norm_backward: "i i v v v v v v v",
    layer_norm._layer_norm_sums: "i i v v v v v v",
    dropout._dropout: "d i i v v",
    embedding._embedding: "i i v v v",
    embedding._embedding_backward: "i i i v v v",
    recurrent._step_forward: "i i i i v v v v v v v v",
    recurrent._step_backward: "i i i i v v v v v v v v v v v v v",
    recurrent._first_states: "i i v v v v v",
    max_pool._max_pool: "i i i i i i i v v",
    max_pool._max_pool_backward: "i i i i i i i v v v v",
    average_pool._average_pool: "i i i i i i i v v",
    average_pool._average_pool_backward: "i i i i i i i v v",
    conv._convolve: "i i II v i v i v i i i i i i v i",
    optimizers._sgd: "v v d",
    optimizers._sgd_momentum: "v v v d d d d",
    optimizers._rmsprop: "v v v v d d d d d",
    optimizers._adam: "v v v v d d d d d d d d",
    **dict.fromkeys(
        (run.run_with_both, run.run_with_convolutions, run.run_with_sequences, run.run),
        "II i i i II DD I D v v v v v B v v v v v I D DD III D D I i i i i i i",
    ),
}
MACHINES = [((8, 0), "float32"), ((9, 0), "float32"), ((9, 0), "float64")]
# Products use what these have not, and go other ways there.
OLDER_MACHINES = [((7, 5), "float64"), ((8, 0), "float64")]


def _type(letters, dtype):
    kinds = {"i": numba.int64, "d": numba.float64, "v": numba.from_dtype(dtype)[::1]}
    if letters in kinds:
        return kinds[letters]
    scalar = {"I": numba.int64, "D": numba.float64, "B": numba.uint8}[letters[0]]
    return numba.types.Array(scalar, len(letters), "C")


def ptxas():
    """Path of the assembler of the wheel nvidia-cuda-nvcc."""
    folder = Path(importlib.util.find_spec("nvidia").submodule_search_locations[0])
    return next(folder.glob("*/bin/ptxas"))


def measure(kernel, capability, dtype):
    """Registers a thread, bytes of spilled registers and of shared memory."""

    class Device:
        compute_capability = capability

    # Kernels that call GPU code ask which GPU there is.
    for module in (dispatcher, compiler, cuda):
        module.get_current_device = Device
    signature = tuple(_type(letters, np.dtype(dtype)) for letters in KERNELS[kernel].split())
    ptx, _ = cuda.compile_ptx(
        kernel.py_func, signature, cc=capability, launch_bounds=kernel.targetoptions["launch_bounds"]
    )
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "kernel.ptx"
        source.write_text(ptx)
        command = [ptxas(), "-v", f"-arch=sm_{capability[0]}{capability[1]}", source, "-o", source.with_suffix(".o")]
        if ".extern .func" in ptx:  # of a library, for waiting on all blocks: assembled to be linked with it
            command.insert(1, "-c")
        said = subprocess.run(command, capture_output=True, text=True)
    if said.returncode:
        raise RuntimeError(said.stderr)
    stores, loads = re.findall(r"(\d+) bytes spill (?:stores|loads)", said.stderr)[-2:]
    shared = sum(int(size) for size in re.findall(r"\.shared \.align \d+ \.b8 \S+\[(\d+)\]", ptx))
    return {
        "kernel": f"{kernel.py_func.__module__.split('cuda.')[-1]}.{kernel.py_func.__name__.lstrip('_')}",
        "machine": f"sm_{capability[0]}{capability[1]}",
        "dtype": dtype,
        "registers": int(re.findall(r"Used (\d+) registers", said.stderr)[-1]),
        "spilled": max(int(stores), int(loads)),
        "shared": shared,
        "vector_loads": len(re.findall(r"ld\.shared\.v[24]", ptx)),
        "async_copies": len(re.findall(r"cp\.async\.ca", ptx)),
        "tensor_products": len(re.findall(r"mma\.sync", ptx)),
        "non_coherent_loads": len(re.findall(r"ld\.global\.nc", ptx)),
    }


def of_older(number):
    """The large tile for one of OLDER_MACHINES, in a process of its own: one makes GPU code for one generation."""
    command = [sys.executable, __file__, "--json", "--older", str(number)]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def main():
    records, older = [], list(range(len(OLDER_MACHINES)))
    work = [(kernel, *machine) for kernel in KERNELS for machine in MACHINES]
    if "--older" in sys.argv:
        work, older = [(dense._multiply_large, *OLDER_MACHINES[int(sys.argv[-1])])], []
    for arguments in [*work, *older]:
        found = of_older(arguments) if isinstance(arguments, int) else [measure(*arguments)]
        records += found
        for r in found if "--json" not in sys.argv else []:
            print(
                f"{r['kernel']:<42} {r['machine']} {r['dtype']}  {r['registers']:>3} registers  "
                f"{r['spilled']:>3} bytes spilled  {r['shared']:>5} bytes shared",
                flush=True,
            )
    if "--json" in sys.argv:
        print(json.dumps(records))


if __name__ == "__main__":
    main()
