"""The command `fastnet`."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from . import __doc__ as package_doc
from . import __version__
from .checks import positive_integer
from .demo import demo
from .picture_files import check_plot
from .tables.commands import add_commands


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = make_parser()
    options = parser.parse_args(arguments)
    try:
        run: Any = options.run
        return int(run(options))
    except BrokenPipeError:
        raise  # an OSError that is nobody's fault
    except (ValueError, TypeError, OSError, ImportError, RuntimeError, ArithmeticError) as error:
        parser.error(str(error))


def make_parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    parser = argparse.ArgumentParser(prog="fastnet", description=(package_doc or "").splitlines()[0])
    parser.add_argument("--version", action="version", version=f"fastnet-numba {__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    _add_demo(commands)
    add_commands(commands)
    _add_compare(commands)
    _add_info(commands)
    return parser


def _add_info(commands: Any) -> None:
    parser = commands.add_parser("info", help="versions, processor, threads, compiled code, GPU: for reports of faults")
    parser.set_defaults(run=_info)


def _info(options: Any) -> int:
    from .info import info

    print(info())
    return 0


def _add_demo(commands: Any) -> None:
    parser = commands.add_parser("demo", help="train on handwritten digits and show how well it went")
    parser.add_argument("--epochs", type=int, default=100, help="passes over the training digits (default 100)")
    parser.add_argument("--seed", type=int, default=0, help="another seed, another start (default 0)")
    parser.add_argument("--output", type=Path, default=Path(), metavar="DIR", help="where the pictures go")
    parser.set_defaults(run=lambda options: demo(options.epochs, options.seed, options.output))


def _add_compare(commands: Any) -> None:
    parser = commands.add_parser(
        "compare",
        help="time kernels in every backend, whole trainings against peers, or fits against scikit-learn's",
        description="Time every kernel in NumPy (reference), on the CPU, where there is one on the GPU, and in PyTorch "
        "where it is installed, against the limit of this machine; or, with --peers, whole trainings against PyTorch, "
        "JAX and others; or, with --estimators, fits of fastnet.sklearn's estimators against scikit-learn's own.",
    )
    names = {"type": lambda text: text.split(","), "metavar": "A,B,..."}
    parser.add_argument("--kernels", **names, help="which kernels (default all)")
    parser.add_argument("--shapes", type=_shapes, metavar="S,T,...", help="as in 128x784x128 (m x n_prev x n), 64x64")
    parser.add_argument("--backends", **names, help="of reference, cpu, cuda, PyTorch (default all that can run here)")
    parser.add_argument("--layouts", **names, help="of C, F, strided: how arrays lie in memory (default C)")
    parser.add_argument(
        "--peers", nargs="?", const=[], **names, help="compare with peers, all or these (extra [peers])"
    )
    parser.add_argument(
        "--estimators", nargs="?", const=[], **names, help="fits against scikit-learn's, of all data sets or these"
    )
    parser.add_argument("--workloads", **names, help="with --peers: which workloads, or fits, say (default all)")
    parser.add_argument("--sweep", type=int, metavar="N", help="with --peers: N random shapes instead")
    parser.add_argument("--dtype", help="float32 (default) or float64 (default with --estimators)")
    parser.add_argument(
        "--threads", type=_integers, metavar="1,2,...", help="each number of threads in turn, as far as there are"
    )
    parser.add_argument(
        "--rounds", type=int, help="samples of each contestant (default 15; 7 with --peers, 5 with --estimators)"
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON instead of a table")
    form.add_argument("--csv", action="store_true", help="print CSV instead of a table")
    parser.add_argument("--plot", type=Path, metavar="FILE.png", help="draw them, FILE-KIND.png a kind (extra [plot])")
    parser.set_defaults(run=_compare)


def _compare(options: Any) -> int:
    from .benchmarks import tables

    def progress(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    if options.peers is None and (options.workloads is not None or options.sweep is not None):
        raise ValueError("--workloads and --sweep are trainings and go with --peers: add it, or choose --kernels")
    if options.sweep is not None:
        if options.workloads is not None:
            raise ValueError(
                "--sweep chooses the workloads: leave --workloads out, or name random-0, random-1, ... there"
            )
        options.workloads = [f"random-{number}" for number in range(positive_integer("sweep", options.sweep))]
    if options.peers is not None and options.estimators is not None:
        raise ValueError("--peers and --estimators are two comparisons: choose one")
    for chosen, instead in (("peers", "choose --workloads"), ("estimators", "give it names of data sets")):
        for name in ("kernels", "shapes", "backends", "layouts"):
            if getattr(options, chosen) is not None and getattr(options, name) is not None:
                raise ValueError(f"--{name} does not go with --{chosen}: {instead}")
    if options.plot is not None:
        check_plot(options.plot)
    given = {name: getattr(options, name) for name in ("rounds", "dtype") if getattr(options, name) is not None}
    to_text = tables.kernels_text
    if options.estimators is not None:
        from .benchmarks.estimators import compare_estimators

        to_text = tables.estimators_text
        records = compare_estimators(
            options.estimators or None, threads=options.threads or [1], progress=progress, **given
        )
    elif options.peers is not None:
        from .benchmarks.race import compare_peers

        to_text = tables.peers_text
        records = compare_peers(
            options.workloads,
            options.peers or None,
            threads=options.threads or [1],
            progress=progress,
            **given,
        )
    else:
        from .benchmarks.comparison import compare

        records = compare(
            options.kernels,
            options.shapes,
            threads=options.threads,
            backends=options.backends,
            layouts=options.layouts or ["C"],
            progress=progress,
            **given,
        )
    write = tables.as_json if options.json else tables.as_csv if options.csv else to_text
    print(write(records))
    if options.plot is not None:
        from .benchmarks import pictures

        for path in pictures.draw(records, options.plot):
            progress(f"picture  {path}")
    return 0


def _integers(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no list of whole numbers: give 1 or 1,2") from None


def _shapes(text: str) -> list[tuple[int, ...]]:
    try:
        return [tuple(int(extent) for extent in part.split("x")) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no list of shapes: give 128x784x128 or 64x64,256x256") from None
