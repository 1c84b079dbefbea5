"""The house stays in order: imports run one way, and only few files know the kinds of layer."""

import ast
import functools
from pathlib import Path

import fastnet_kernels

import fastnet

ROOTS = {"fastnet": Path(fastnet.__file__).parent, "fastnet_kernels": Path(fastnet_kernels.__file__).parent}


@functools.cache
def modules():
    """Every module's dotted name and its tree."""
    found = {}
    for package, root in ROOTS.items():
        for path in root.rglob("*.py"):
            parts = [package, *path.relative_to(root).with_suffix("").parts]
            is_package = parts[-1] == "__init__"
            found[".".join(parts[:-1] if is_package else parts)] = (ast.parse(path.read_text()), is_package)
    return found


def imports(name, tree, is_package, known):
    """The modules that one imports: at its top, inside of functions, or for its types only."""
    package = name.split(".") if is_package else name.split(".")[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            source = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                submodule = f"{source}.{alias.name}"
                yield submodule if submodule in known else source


@functools.cache
def graph():
    found = modules()
    return {
        name: {other for other in imports(name, tree, is_package, found) if other in found and other != name}
        for name, (tree, is_package) in found.items()
    }


def circle(edges):
    """A circle of imports as a list of modules, if there is one."""
    done, path = set(), []

    def visit(name):
        if name in path:
            return path[path.index(name) :]
        if name in done:
            return None
        path.append(name)
        for other in sorted(edges[name]):
            if (found := visit(other)) is not None:
                return found
        path.pop()
        done.add(name)
        return None

    for name in sorted(edges):
        if (found := visit(name)) is not None:
            return found
    return None


def test_no_circles_of_imports():
    edges = graph()
    assert len(edges) > 100
    # A package's own __init__ names what its modules hold; it is no one's business inside of it.
    edges = {name: {other for other in others if not name.startswith(f"{other}.")} for name, others in edges.items()}
    assert circle(edges) is None
    assert circle({**edges, "fastnet.layers.base": {"fastnet.network"}}) is not None


def test_kernels_know_nothing_of_fastnet_and_backends_nothing_of_each_other():
    for name, others in graph().items():
        if name.startswith("fastnet_kernels.") and name != "fastnet_kernels.command":  # which starts `fastnet.cli`
            assert not any(other == "fastnet" or other.startswith("fastnet.") for other in others), name
            backend = name.split(".")[1]
            strangers = {"reference", "cpu", "cuda"} - {backend}
            if backend in ("reference", "cpu", "cuda"):
                assert not any(other.split(".")[1:2] == [stranger] for other in others for stranger in strangers), name


# Packages, and the modules beside them, of the CPU backend: each imports none but those before it.
CPU_ORDER = ("target", "codegen", "partition", "gemm", "optimizers", "step", "layers", "loss", "program", "kernels")


def test_packages_of_the_cpu_are_in_one_order():
    """Modules without a circle can still make one of packages, which nobody could read one after the other."""
    edges = graph()
    parts = {name: name.split(".")[2] for name in edges if name.startswith("fastnet_kernels.cpu.")}
    assert set(parts.values()) == {*CPU_ORDER, "handover", "limits"}
    for name, part in parts.items():
        known = CPU_ORDER[: CPU_ORDER.index(part) + 1] if part in CPU_ORDER else CPU_ORDER
        for other in edges[name]:
            assert parts.get(other, part) in (*known, part), (name, other)


def test_only_devices_and_benchmarks_import_kernels_at_their_top():
    for name, others in graph().items():
        if name.startswith("fastnet.") and not name.startswith(("fastnet.execution.", "fastnet.benchmarks.")):
            compiled = {other for other in others if other.startswith(("fastnet_kernels.cpu", "fastnet_kernels.cuda"))}
            assert not compiled, name


def test_nobody_asks_for_the_kind_of_a_layer():
    """Whoever wants to know something asks the layer itself; on the device it is the one dispatch."""
    kinds = {"Dense", "BatchNorm", "LayerNorm", "Dropout", "Rescale"}
    for name, (tree, _) in modules().items():
        if not name.startswith("fastnet."):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "isinstance":
                asked = {each.id for each in ast.walk(node.args[1]) if isinstance(each, ast.Name)}
                assert not asked & kinds or name == "fastnet.layers.stack", (name, ast.unparse(node))
