"""The pictures of `fastnet compare`: one a kind, which a person can read."""

import itertools

import pytest

from fastnet.benchmarks.kernels import SUBJECTS

pytest.importorskip("matplotlib")

from fastnet.benchmarks import pictures


def kernel(name, shape, backend, fraction, threads=1, layout="C"):
    about = {"dtype": "float32", "threads": threads, "layout": layout}
    return {"kernel": name, "shape": shape, "backend": backend, "fraction": fraction, **about}


def peer(workload, name, seconds, group="trainings", agrees=True):
    about = {"dtype": "float32", "threads": 1, "agrees": agrees}
    return {"workload": workload, "group": group, "peer": name, "seconds": seconds, **about}


def everything(backends, threads, layouts=("C",)):
    return [
        kernel(name, shape, backend, 0.01 * (place + 1), count, layout)
        for name, subject in SUBJECTS.items()
        for shape in subject.shapes
        for count in threads
        for layout in layouts
        for place, backend in enumerate(backends)
    ]


def drawn(records):
    """The pictures of these records as figures, with what measures their text."""
    found = pictures._kernels(records) if "kernel" in records[0] else pictures._peers(records)
    return [pictures.figure(part) for picture in found.values() for part in picture.parts()]


def texts(ax):
    return [text.get_text() for text in ax.texts]


def test_every_kernel_is_of_one_kind():
    kinds = {}
    for name, subject in SUBJECTS.items():
        kinds.setdefault(subject.kind, []).append(name)
    assert set(kinds) == set(pictures._TITLES) - {
        "steps",
        "convolutions",
        "optimizers",
        "sequences",
        "fits",
        "estimators",
        "rows",
    }
    assert {"dense_forward", "dense_backward", "conv2d_forward"} <= set(kinds["products"])
    assert {"relu", "softmax", "elu"} <= set(kinds["activations"])
    assert {"relu_backward", "elu_backward"} <= set(kinds["derivatives"])
    assert {"log_loss", "hinge"} <= set(kinds["losses"])
    assert {"batch_norm_backward", "dropout", "max_pool2d"} <= set(kinds["layers"])
    assert {"sgd", "adamw"} <= set(kinds["updates"])


def test_a_picture_a_kind(tmp_path):
    records = [kernel("relu", (4, 4), "cpu", 0.5), kernel("tanh", (4, 4), "cpu", 0.4)]
    assert pictures.draw(records, tmp_path / "a.png") == [tmp_path / "a.png"]
    records += [kernel("sgd", (100,), "cpu", 0.5)]
    assert pictures.draw(records, tmp_path / "b.svg") == [tmp_path / "b-activations.svg", tmp_path / "b-updates.svg"]
    assert {path.name for path in tmp_path.iterdir()} == {"a.png", "b-activations.svg", "b-updates.svg"}


def test_bars_end_at_a_hundred_percent_and_say_more():
    records = [kernel("relu", (4, 4), "reference", 0.0421), kernel("relu", (4, 4), "cpu", 1.35)]
    (figure,) = drawn(records)
    (ax,) = figure.axes
    assert [bar.get_width() for bar in ax.patches] == pytest.approx([4.21, 100])
    assert texts(ax)[:2] == ["4.2 %", "135 %"]
    assert "longer is better" in ax.get_xlabel()
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["NumPy (reference)", "fastnet (cpu)"]


def test_times_are_logarithmic_and_a_void_one_has_no_bar():
    records = [
        peer("mnist", "fastnet", 3e-4),
        peer("mnist", "JAX", 6e-4),
        peer("mnist", "wrong", 1e-9, agrees=False),
        peer("one sample", "fastnet", 1e-5, "inferences"),
        peer("fit-digits", "fastnet", 2e-2, "fits"),
    ]
    steps, fits = (figure.axes[0] for figure in drawn(records))
    for ax, unit in ((steps, "microseconds"), (fits, "seconds")):
        assert ax.get_xscale() == "log"
        assert ax.get_xlabel() == f"{unit}, logarithmic (shorter is better)"
    assert [text for text in texts(steps) if text[0].isdigit()][:4] == ["300", "600", "10", "784-128-10, batch 128"]
    assert {"mnist", "one sample", "inference"} <= set(texts(steps))
    assert {"0.02", "fit-digits", "64-100-10, batch 200"} <= set(texts(fits))


@pytest.mark.slow
@pytest.mark.parametrize("backends", [["reference", "cpu", "PyTorch"], ["reference", "cpu", "cuda", "PyTorch"]])
def test_all_there_is_can_be_read(backends):
    """No picture is taller than a person scrolls, and no text is cut or lies on another."""
    figures = drawn(everything(backends, [1, 2]))
    assert len(figures) == (7 if "cuda" not in backends else 10)
    for figure in figures:
        assert figure.get_figheight() * 120 <= 1600
        renderer = figure.canvas.get_renderer()
        figure.draw(renderer)
        whole = figure.bbox
        labels = [text for ax in figure.axes for text in ax.texts]
        assert all(text.get_fontsize() >= 7 for text in labels)
        boxes = [text.get_window_extent(renderer) for text in labels]
        boxes += [figure.legends[0].get_window_extent(renderer), figure.texts[0].get_window_extent(renderer)]
        for ax in figure.axes:
            # Of a panel's title and its axis' label, which no bar may touch.
            above, below = ax._left_title.get_window_extent(renderer), ax.xaxis.label.get_window_extent(renderer)
            assert above.y0 >= ax.bbox.y1
            assert below.y1 <= ax.bbox.y0
            boxes += [above, below]
        for box in boxes:
            assert whole.x0 <= box.x0 <= box.x1 <= whole.x1
            assert whole.y0 <= box.y0 <= box.y1 <= whole.y1
        # Lines of 7 points in bars of 13 pixels share the pixel of their descenders.
        for a, b in itertools.combinations(boxes, 2):
            across, up = min(a.x1, b.x1) - max(a.x0, b.x0), min(a.y1, b.y1) - max(a.y0, b.y0)
            assert across <= 0 or up <= 2


def test_cases_are_split_evenly_and_kernels_stay_whole():
    records = everything(["reference", "cpu", "cuda", "PyTorch"], [1], ["C", "F", "strided"])
    picture = pictures._kernels(records)["activations"]
    parts = picture.parts()
    assert len(parts) > 1
    assert all(pictures.figure(part).get_figheight() * 120 <= 1600 for part in parts)
    assert [case for part in parts for case in part.cases] == picture.cases
    kernels = [{name for name, _ in part.cases} for part in parts]
    assert sum(map(len, kernels)) == len(set.union(*kernels))
    # Of a kernel that is too tall by itself there is no whole.
    tall = pictures._kernels([kernel("relu", (n, 4), "cpu", 0.5) for n in range(200)])["activations"].parts()
    assert [len(part.cases) for part in tall] == [79, 79, 42]


def test_panels_have_the_same_axis():
    records = [kernel("relu", (4, 4), "cpu", 0.5, threads) for threads in (1, 2)]
    (figure,) = drawn(records)
    assert [ax.get_title(loc="left") for ax in figure.axes] == ["1 thread", "2 threads"]
    assert len({ax.get_xlim() for ax in figure.axes}) == 1


@pytest.mark.parametrize(("share", "text"), [(0.001, "<0.01 %"), (0.03, "0.03 %"), (4.2, "4.2 %"), (86.4, "86 %")])
def test_percent(share, text):
    assert pictures._percent(share) == text
