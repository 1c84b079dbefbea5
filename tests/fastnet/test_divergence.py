"""Training that diverges stops, says where, and keeps what was still good."""

import numpy as np
import pytest

import fastnet as fn


def problem():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((40, 6)).astype(np.float32)
    return X, (X.sum(axis=1) * 3).astype(np.float32)


def net():
    return fn.Network([fn.Dense(8, "relu"), fn.Dense(1)], seed=1)


@pytest.mark.parametrize("batch_size", [None, 7])
@pytest.mark.parametrize("with_validation", [False, True])
def test_the_last_finite_epoch_is_kept(batch_size, with_validation):
    X, y = problem()
    diverging = net()
    options = {"batch_size": batch_size, "verbose": False}
    rate = 0.9 if batch_size else 2.0
    validation = (X, y) if with_validation else None
    with pytest.raises(fn.DivergenceError, match=r"epoch (\d+), step (\d+): try a smaller learning rate") as error:
        diverging.fit(X, y, epochs=500, optimizer=fn.SGD(rate), validation_data=validation, **options)
    assert np.isfinite(diverging.buffer).all()
    kept = str(error.value).rsplit("epoch ", 1)[-1]
    if kept.isdigit():
        again = net()
        again.fit(X, y, epochs=int(kept), optimizer=fn.SGD(rate), **options)
        np.testing.assert_array_equal(again.buffer, diverging.buffer)
    assert np.isfinite(diverging.predict(X)).all()
    diverging.build(6).fit(X, y, epochs=5, optimizer=fn.SGD(1e-3), **options)


def test_divergence_in_the_first_epoch_keeps_the_start():
    X, y = problem()
    diverging = net().build(6)
    before = diverging.buffer.copy()
    with pytest.raises(fn.DivergenceError, match="before the training"):
        diverging.fit(X, y, epochs=2, batch_size=1, optimizer=fn.SGD(1e20), verbose=False)
    np.testing.assert_array_equal(diverging.buffer, before)


def test_divergence_in_the_very_last_update_is_seen():
    X, y = problem()
    diverging = net().build(6)
    before = diverging.buffer.copy()
    with pytest.raises(fn.DivergenceError, match="epoch 1, step 1"):
        diverging.fit(X, y, epochs=1, batch_size=None, optimizer=fn.SGD(1e39), verbose=False)
    np.testing.assert_array_equal(diverging.buffer, before)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_parameters_that_are_not_finite_are_refused(value):
    X, y = problem()
    broken = net().build(6)
    broken.parameters["W1"][0, 0] = value
    with pytest.raises(ValueError, match="W1 holds NaN or infinity"):
        broken.fit(X, y, verbose=False)
