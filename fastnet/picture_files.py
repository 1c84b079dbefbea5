"""Files for pictures, as they are named on the command line."""

from pathlib import Path


def check_plot(path: Path) -> None:
    """ValueError or ImportError for what could not be drawn, before anything is begun."""
    try:
        import matplotlib
    except ImportError as error:
        raise ImportError("--plot needs matplotlib: pip install 'fastnet-numba[plot]'") from error

    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    if not path.parent.is_dir():
        raise ValueError(f"--plot {path}: there is no folder {path.parent}; make it first")
    known = Figure().canvas.get_supported_filetypes()
    if path.suffix[1:] not in known:
        raise ValueError(f"--plot {path}: unknown kind of picture; end the name with .png, .svg or .pdf")
