"""The course's cat pictures, for whoever has the file: FASTNET_CATS=cats.npz pytest."""

import os
import runpy
from pathlib import Path

import pytest

CATS = os.environ.get("FASTNET_CATS")


@pytest.mark.skipif(not CATS, reason="FASTNET_CATS does not name the course's cats.npz")
def test_the_published_results():
    script = runpy.run_path(str(Path(__file__).parents[2] / "examples" / "cats.py"))
    X, y, X_test, y_test = script["load"](CATS)
    for train, cost, accuracy, test_accuracy in [
        (script["logistic_regression"], 0.135659, 207 / 209, 0.70),
        (script["deep_network"], 0.088440, 206 / 209, 0.80),
    ]:
        net, history = train(X, y)
        assert history["cost"][-1] == pytest.approx(cost, abs=1e-6)
        assert net.evaluate(X, y)["accuracy"] == pytest.approx(accuracy, abs=1e-12)
        assert net.evaluate(X_test, y_test)["accuracy"] == pytest.approx(test_accuracy, abs=1e-12)
    net, _ = script["convolutions"](X, y)
    assert net.evaluate(X_test, y_test)["accuracy"] > 0.8
    expected = [0.771749, 0.540138, 0.315187, 0.161189, 0.113821]
    assert history["cost"][::500] == pytest.approx(expected, abs=1e-6)
