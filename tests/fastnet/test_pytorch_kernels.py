"""PyTorch's operators, as `fastnet compare` times them, compute the kernels' formulas."""

import numpy as np
import pytest
from fastnet_kernels import reference

import fastnet as fn
from fastnet.benchmarks.kernels import LAYOUTS, SUBJECTS, largest_error, make_case

SHAPES = {
    **{"max_pool1d": (3, 8, 5), "max_pool1d_backward": (3, 8, 5)},
    **{"average_pool2d": (3, 8, 6, 5), "average_pool2d_backward": (3, 8, 6, 5)},
    **{f"conv2d_{what}": (3, 8, 6, 2, 5, 3, 3) for what in ("forward", "backward_data", "backward_weights")},
    **{f"{cell}_{way}": (3, 4, 5, 6) for cell in ("recurrent", "lstm", "gru") for way in ("forward", "backward")},
    **{"embedding": (3, 8, 6, 5), "embedding_backward": (3, 8, 6, 5)},
    **{"max_pool2d": (3, 8, 6, 5), "max_pool2d_backward": (3, 8, 6, 5)},
}
MISSING = {"layer_norm_backward": 1, "lstm_forward": 2, "gru_forward": 1}  # outputs that are nobody else's
FUSED = ("sgd_momentum", "adam", "adamw")


@pytest.fixture
def operators(torch):
    from fastnet.benchmarks import pytorch_kernels

    with pytorch_kernels.measuring(1):
        yield pytorch_kernels


def small(name):
    return SHAPES.get(name, (9, 7, 5)[: len(SUBJECTS[name].dimensions)])


def with_both_signs(case):
    """The case with outputs of the activation below 0, too, where the derivative has another branch."""
    if case.kernel in ("relu_backward", "leaky_relu_backward"):
        case.inputs[1] -= np.asarray(0.5, case.inputs[1].dtype)
    return case


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", [name for name in SUBJECTS if name != "dropout"])
def test_every_kernel_has_a_counterpart(operators, name, layout):
    true = with_both_signs(make_case(name, small(name), "float64"))
    exact = true.results(reference)
    for dtype, tolerance in (("float32", 1e-5), ("float64", 1e-13)):
        case = with_both_signs(make_case(name, small(name), dtype, layout=layout))
        if name in FUSED and layout == "strided":
            with pytest.raises(NotImplementedError, match="contiguous"):
                operators.results(case)
            continue
        before = [np.copy(value) for value in case.inputs]
        found = operators.results(case)
        # PyTorch's own 1/6 is a float32.
        tolerance = 1e-7 if name == "hard_sigmoid_backward" and dtype == "float64" else tolerance
        compared = [(a, b) for a, b in zip(found, exact, strict=True) if a is not None]
        assert len(compared) == len(exact) - MISSING.get(name, 0)
        assert [a.shape for a, _ in compared] == [b.shape for _, b in compared]
        assert largest_error(*zip(*compared, strict=True)) < tolerance
        for a, b in zip(case.inputs, before, strict=True):
            np.testing.assert_array_equal(a, b)


def test_tensors_share_memory_with_the_arrays(operators):
    case = make_case("relu", (4, 3), "float32")
    operators.bound(case)()
    np.testing.assert_array_equal(case.outputs[0], np.maximum(case.inputs[0], 0))


def test_dropout_leaves_out_other_numbers(operators):
    case = make_case("dropout", (400, 300), "float32")
    operators.bound(case)()
    (A_prev, rate, _), (A,) = case.inputs, case.outputs
    assert np.mean(A != 0) == pytest.approx(1 - rate, abs=0.01)
    np.testing.assert_allclose(A[A != 0], A_prev[A != 0] / (1 - rate), rtol=1e-6)
    assert operators.results(case) is None


def test_label_smoothing_is_not_silently_left_out(operators):
    case = make_case("cross_entropy", (4, 3), "float32")
    case.inputs[2] = 0.1
    with pytest.raises(NotImplementedError, match="smoothing"):
        operators.bound(case)


def test_threads_and_autograd_are_given_back(torch):
    from fastnet.benchmarks.pytorch_kernels import measuring

    with measuring(2):
        assert torch.get_num_threads() == 2
        assert torch.is_inference_mode_enabled()
    assert torch.get_num_threads() == 1
    assert not torch.is_inference_mode_enabled()


@pytest.mark.usefixtures("torch")
def test_records_of_pytorch():
    told = []
    records = fn.compare(
        ["relu", "dropout", "adam"],
        [(12, 7), (9,)],
        backends=["PyTorch", "reference"],
        layouts=["C", "strided"],
        rounds=1,
        threads=1,
        progress=told.append,
    )
    found = {(r["kernel"], r["layout"]): r for r in records if r["backend"] == "PyTorch"}
    assert list(found) == [("relu", "C"), ("relu", "strided"), ("dropout", "C"), ("dropout", "strided"), ("adam", "C")]
    assert "PyTorch: left out, its fused updates need contiguous arrays" in told
    for (kernel, _), record in found.items():
        assert record["speedup"] > 0
        assert record["fraction"] > 0
        assert record["error"] is None if kernel == "dropout" else record["error"] < 1e-6


def test_a_wrong_operator_shows_in_the_error(operators, monkeypatch):
    monkeypatch.setitem(operators._CALLS, "relu", lambda Z, A: lambda: A.fill_(0.1))
    records = fn.compare(["relu"], [(20, 20)], backends=["PyTorch"], rounds=1)
    assert records[0]["error"] > 1e-2
    assert records[0]["speedup"] is None
