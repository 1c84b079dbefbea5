"""What a notebook shows of networks and of scikit-learn's estimators; test_history.py has histories."""

import html
import re

import numpy as np
import pytest

import fastnet as fn


@pytest.mark.parametrize("shape", [None, (4, 6)])
def test_a_network_is_a_table(shape):
    net = fn.Network([fn.Rescale(0.5), fn.MaxPool2D((1, 2)), fn.Dense(5, "relu", trainable=False), fn.Dense(1)])
    page = (net if shape is None else net.build(shape))._repr_html_()
    lines = [line for line in str(net).splitlines() if not line.startswith("-")]
    for cell in (cell for line in lines for cell in re.split(r" {2,}", line.strip())):
        assert f">{html.escape(cell)}<" in page
    assert "color" not in page, "colours are those of the theme"


def test_what_is_no_html_is_escaped():
    page = fn.html.table(["<"], [["&"]], aligned="l", caption="<b>")
    assert re.findall(r">([^<>]+)<", page) == ["&lt;b&gt;", "&lt;", "&amp;"]


@pytest.mark.filterwarnings("ignore:lbfgs failed to converge")
def test_estimators_have_diagrams_before_and_after_fit():
    pytest.importorskip("sklearn", minversion="1.9")
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from fastnet.sklearn import MLPClassifier, MLPRegressor

    X = np.random.default_rng(0).standard_normal((40, 3))
    for estimator in (MLPClassifier, MLPRegressor):
        model, step = (estimator(hidden_layer_sizes=(4,), solver="lbfgs", max_iter=2) for _ in range(2))
        for whole in (model, make_pipeline(StandardScaler(), step)):
            before = whole._repr_html_()
            whole.fit(X, np.arange(40) % 2)
            after = whole._repr_html_()
            for page in (before, after):
                assert estimator.__name__ in page
                assert "hidden_layer_sizes" in page
            assert "Not fitted" in before
            assert "Not fitted" not in after
