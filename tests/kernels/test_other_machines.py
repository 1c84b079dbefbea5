"""Machines with other vectors: their tiles are run here, on this machine's instructions, and compiled for arm64."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="other vectors of x86 machines"),
    pytest.mark.slow,  # each compiles the whole program anew
]

# What Numba compiles for, and with it which `Target` `codegen.processor` chooses. FMA is named in each: without it LLVM
# would call a library for every product. "+neon" means nothing to an x86 processor and chooses the tiles of arm64.
MACHINES = {
    "AVX2": ("haswell", "+avx,+avx2,+fma,+bmi,+bmi2,+f16c,+popcnt,+sse4.2"),
    "SSE2": ("x86-64", "+avx,+fma,+popcnt,+sse4.2"),
    "NEON": ("x86-64", "+avx,+fma,+popcnt,+sse4.2,+neon"),
}


def run_as(machine, folder, *arguments):
    """The output of Python with these arguments, in a process of its own that sees another processor."""
    name, features = MACHINES[machine]
    environment = {**os.environ, "NUMBA_CPU_NAME": name, "NUMBA_CPU_FEATURES": features, "NUMBA_CACHE_DIR": str(folder)}
    result = subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-1000:]
    return result.stdout


@pytest.mark.parametrize("machine", MACHINES)
def test_shapes_on_shorter_vectors(machine, tmp_path):
    chosen = (
        "from fastnet_kernels.cpu import target; from fastnet_kernels.cpu.codegen import processor;"
        f"print(processor.TARGET == target.{machine})"
    )
    assert run_as(machine, tmp_path, "-c", chosen).strip() == "True"
    files = [str(Path(__file__).with_name(name)) for name in ("test_program_shapes.py", "test_arguments.py")]
    chosen = "float64 or products_of_any_size"
    run_as(machine, tmp_path, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", chosen, *files)


# The routines' optimised LLVM code, for this machine with the tiles of NEON, becomes machine code of arm64.
ARM64 = """
import re
import llvmlite.binding as llvm
import fastnet as fn
from fastnet_kernels.codes import COMPONENTS
from fastnet_kernels.cpu.codegen import compiling

llvm.initialize_all_targets()
llvm.initialize_all_asmprinters()
fn.Network([fn.Dense(1)]).device.prepare(COMPONENTS)
target = llvm.Target.from_triple("aarch64-unknown-linux-gnu").create_target_machine(cpu="neoverse-n1", opt=3)
for name, argument_types in compiling._symbols.values():
    library = compiling._routines[name].overloads[argument_types].library
    code = re.sub(r"target (triple|datalayout) = .*", "", library.get_llvm_str())
    code = re.sub(r'"target-(cpu|features)"="[^"]*"', "", code)
    code = code.replace('asm sideeffect "", "=v,=v', 'asm sideeffect "", "=w,=w')  # how arm64 names vector registers
    module = llvm.parse_assembly(code)
    module.triple, module.data_layout = target.triple, str(target.target_data)
    assembly = target.emit_assembly(module)
    products = len(re.findall(r"fmla\\s+v\\d+\\.4s", assembly))
    print(name, len(assembly.splitlines()), products, len(re.findall(r"bl\\s+fma", assembly)))
"""


def test_every_routine_compiles_for_arm64(tmp_path):
    lines = run_as("NEON", tmp_path, "-c", ARM64).splitlines()
    found = {name.rpartition(".")[2]: [int(number) for number in numbers] for name, *numbers in map(str.split, lines)}
    assert {"gemm", "gemm_dot", "data_phase", "weight_phase", "pack_inputs"} <= found.keys()
    assert all(lines > 20 for lines, _, _ in found.values())
    assert all(calls == 0 for _, _, calls in found.values()), "a fused multiply-add must be an instruction"
    # A tile of 12 rows and two vectors has 24 products in its inner loop.
    assert found["gemm"][1] >= 24
    assert found["gemm_dot"][1] >= 20
