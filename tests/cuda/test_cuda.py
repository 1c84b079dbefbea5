"""The CUDA kernels, in processes of their own: in Numba's simulator, compiled for GPUs that are not here, and on a GPU.

pytest -m 'not gpu' tests/cuda   # what can be done without a GPU
pytest -m gpu tests/cuda         # the same tests of kernels and networks, and larger ones, on the GPU
"""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from fastnet_kernels import codes

import fastnet as fn
from fastnet.execution.cuda.plan import make_gpu_plan
from fastnet.execution.cuda.products import Sizes, product_for
from fastnet.execution.graph import Graph

HERE = Path(__file__).parent
needs_numba_cuda = pytest.mark.skipif(
    importlib.util.find_spec("numba_cuda") is None, reason="needs numba-cuda: pip install '.[cuda]'"
)
has_ptxas = importlib.util.find_spec("nvidia") is not None and any(
    Path(folder).glob("*/bin/ptxas") for folder in importlib.util.find_spec("nvidia").submodule_search_locations
)
# As ptx.py names them.
PROGRAM, LARGE_TILE = "program.run.run", "layers.dense.multiply_large"
# The most bytes that each program may spill.
PROGRAMS = {
    PROGRAM: 160,
    "program.run.run_with_convolutions": 700,
    "program.run.run_with_sequences": 300,
    "program.run.run_with_both": 400,
}
CONVOLVE = "layers.conv.convolve"
SIMULATOR = {"NUMBA_ENABLE_CUDASIM": "1"}
KERNELS, NETWORKS, SEQUENCES = HERE.parent / "kernels" / "test_kernels.py", HERE / "networks.py", HERE / "sequences.py"


def run(*command, program=sys.executable, **environment):
    return subprocess.Popen(
        [program, *map(str, command)],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run_tests(*arguments, **environment):
    # Numbers that overflow are a warning in the simulator, where they are NumPy's.
    options = ("-q", "-p", "no:cacheprovider", "-W", "ignore::RuntimeWarning")
    return run("-m", "pytest", *options, *arguments, FASTNET_TEST_BACKEND="cuda", **environment)


def passed(process):
    out, errors = process.communicate()
    assert process.returncode == 0, out[-9000:] + errors[-2000:]
    return out


@pytest.fixture(scope="module")
def processes():
    """All that takes long, side by side."""
    files = {"networks": NETWORKS, "sequences": SEQUENCES, "kernels": KERNELS}
    started = {name: run_tests(file, **SIMULATOR) for name, file in files.items()}
    if has_ptxas:
        started["ptx"] = run(HERE / "ptx.py", "--json")
    yield started
    for process in started.values():
        process.kill()


@pytest.mark.slow  # every thread of a GPU runs as Python
@needs_numba_cuda
@pytest.mark.parametrize("what", ["kernels", "networks", "sequences"])
def test_in_the_simulator(what, processes):
    assert "passed" in passed(processes[what])


@needs_numba_cuda
def test_launches():
    assert "passed" in passed(run_tests(HERE / "launches.py"))


@needs_numba_cuda
def test_figures():
    assert "passed" in passed(run_tests(HERE / "figures.py", **SIMULATOR))


@pytest.mark.slow  # three times all kernels are compiled
@needs_numba_cuda
@pytest.mark.skipif(not has_ptxas, reason="needs ptxas: pip install nvidia-cuda-nvcc")
def test_kernels_assemble_and_fit_their_registers(processes):
    """A block's registers are 255 a thread at most, and 128 where two blocks are to share a multiprocessor.

    The program and the large tile spill what they need once a step or slab.
    """
    records = json.loads(passed(processes["ptx"]))
    assert {record["machine"] for record in records} == {"sm_75", "sm_80", "sm_90"}
    for record in records:
        print(*(f"{key}={value}" for key, value in record.items()))
        kernel, is_double, machine = record["kernel"], record["dtype"] == "float64", record["machine"]
        has_registers = kernel in {*PROGRAMS, CONVOLVE}
        is_product = has_registers or kernel.startswith("layers.dense.multiply")
        assert record["spilled"] <= {**PROGRAMS, LARGE_TILE: 300}.get(kernel, 0), record
        assert record["registers"] <= (255 if has_registers else 128 if is_product else 88), record
        assert record["shared"] <= 48 << 10, record
        # What other blocks have written must not come from a cache that does not see it.
        assert record["non_coherent_loads"] == 0, record
        if is_product:
            has_tensor_cores = is_double and (has_registers or kernel == LARGE_TILE) and machine != "sm_75"
            assert (record["tensor_products"] > 0) == has_tensor_cores, record
            assert (record["async_copies"] > 0) == (machine != "sm_75"), record
            assert record["vector_loads"] >= (0 if kernel == LARGE_TILE and is_double else 12), record


def test_a_library_makes_large_products_only():
    without = Sizes((32, 128), (32, 128), (32, 16), 1024, multiprocessors=132)
    sizes = without._replace(cublas_rate=128)
    assert product_for(4096, 4096, 4096, sizes).tile == codes.OF_LIBRARY
    assert product_for(4096, 4096, 4096, without).tile == codes.LARGE
    for shape in ((128, 128, 784), (256, 512, 784), (1024, 1024, 1024)):
        assert product_for(*shape, sizes) == product_for(*shape, without)


def test_more_images_than_can_be_addressed_are_refused():
    sizes = Sizes((32, 128), (32, 128), (32, 16), 1024, multiprocessors=132)
    graph = Graph.of([fn.Conv2D(8, 3, padding="same"), fn.Dense(1)], (1024, 1024, 1), fn.losses.Loss("squared_error"))
    make_gpu_plan(graph, 255, 256, np.dtype(np.float32), sizes)
    with pytest.raises(ValueError, match=r"batch_size=256 is too many .* give a batch_size of at most 255"):
        make_gpu_plan(graph, 256, 256, np.dtype(np.float32), sizes)


def test_what_is_missing_is_named():
    """Without the extra, or without a GPU, whichever is so here, and before any work starts."""
    has_gpu = "import numba_cuda; from numba import cuda; print(cuda.is_available())"
    if importlib.util.find_spec("numba_cuda") and "True" in passed(run("-c", has_gpu)):
        pytest.skip("there is a GPU")
    for make in (lambda: fn.Network([fn.Dense(1)], device="cuda"), lambda: fn.Network([fn.Dense(1)]).to("cuda")):
        with pytest.raises(RuntimeError, match=r"pip install 'fastnet|no CUDA GPU can be used"):
            make()
    with pytest.raises(ValueError, match="device='tpu' is not known"):
        fn.Network([fn.Dense(1)], device="tpu")


def test_without_the_extra():
    code = (
        "import sys, importlib.util as u; find = u.find_spec;"
        "u.find_spec = lambda name, *rest: None if name == 'numba_cuda' else find(name, *rest);"
        "import fastnet as fn; fn.Network([fn.Dense(1)], device='cuda')"
    )
    _, errors = run("-c", code).communicate()
    assert "RuntimeError: device='cuda' cannot be used: CUDA kernels need the package numba-cuda: pip install" in errors


def test_import_loads_no_cuda():
    code = "import sys, fastnet; print([name for name in sys.modules if 'cuda' in name and 'fastnet' not in name])"
    assert passed(run("-c", code)).strip().replace("'_numba_cuda_redirector'", "") in ("[]", "['numba_cuda']")


@pytest.mark.gpu
@needs_numba_cuda
@pytest.mark.parametrize("what", [KERNELS, NETWORKS, SEQUENCES], ids=["kernels", "networks", "sequences"])
def test_on_the_gpu(what):
    passed(run_tests(what))


@pytest.mark.gpu
@needs_numba_cuda
@pytest.mark.skipif(shutil.which("compute-sanitizer") is None, reason="needs compute-sanitizer")
def test_memory_and_barriers_on_the_gpu():
    chosen = ("-m", "pytest", "-q", NETWORKS, "-k", "training and several and classes")
    started = {
        tool: run(
            *("--tool", tool, "--error-exitcode", "1", sys.executable, *chosen),
            program="compute-sanitizer", FASTNET_TEST_BACKEND="cuda",
        )
        for tool in ("memcheck", "racecheck", "synccheck")
    }  # fmt: skip
    for process in started.values():
        assert "1 passed" in passed(process)
