"""A code that the compiled program does not know gives NaN, and never another formula's numbers."""

import numpy as np
import pytest
from fastnet_kernels import codes

import fastnet as fn
from fastnet.execution.device import Updates


def costs_of(net, m, change):
    """Costs and outputs of a network with something changed in its plan."""
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((m, 4)).astype(np.float32), rng.random((m, 2))
    batches, (costs, scores) = net.batches(X, y), np.zeros((2, 1))
    context = net._contexts.take(m, False)
    change(context)
    context.idle.append(context)  # for the runs that follow
    net.run(codes.GRADIENT, batches, 0, 1, costs=costs, scores=scores)
    outputs = np.zeros((m, 2), np.float32)
    net.run(codes.PREDICT, net.as_batches(X, outputs, None), 0, 1, outputs=outputs)
    return costs, outputs


@pytest.mark.parametrize("m", [1, 2, 40])
@pytest.mark.parametrize("column", [codes.ACTIVATION, codes.KIND])
@pytest.mark.parametrize("layer", [fn.BatchNorm("tanh"), fn.LayerNorm("tanh"), fn.Dropout(0.5), fn.Dense(5, "tanh")])
def test_layers_and_activations(layer, column, m):
    if isinstance(layer, fn.Dropout) and column == codes.ACTIVATION:
        return  # it has none
    if isinstance(layer, fn.Dense) and column == codes.KIND and m == 1:
        return  # a single sample's plain loops are for dense layers only, and so is the plan that chooses them
    net = fn.Network([fn.Dense(5, "tanh"), layer, fn.Dense(2)]).build(4)

    def change(context):
        context.plan.layers[1, column] = 99

    costs, outputs = costs_of(net, m, change)
    assert np.isnan(costs).all()
    assert np.isnan(outputs).all()


@pytest.mark.parametrize("m", [1, 2, 40])
def test_losses(m):
    net = fn.Network([fn.Dense(5, "tanh"), fn.Dense(2)]).build(4)

    def change(context):
        context.plan = context.plan._replace(loss=99)

    assert np.isnan(costs_of(net, m, change)[0]).all()


@pytest.mark.parametrize("clip_norm", [None, 1.0])
def test_optimizers(clip_norm):
    net = fn.Network([fn.Dense(2)]).build(4)
    settings = fn.Adam(clip_norm=clip_norm).settings()
    settings[codes.OPTIMIZER] = 99
    states = np.zeros_like(net.buffer), np.zeros_like(net.buffer)
    costs, scores = np.zeros((2, 1))
    batches = net.batches(np.ones((3, 4), np.float32), np.ones((3, 2)))
    net.run(codes.TRAIN, batches, 0, 1, updates=Updates(settings, np.ones(1), states), costs=costs, scores=scores)
    for array in net.parameters.values():
        assert np.isnan(array).all()


def test_plans_refuse_what_they_do_not_know():
    class Odd(fn.Dense):
        pass

    with pytest.raises(TypeError, match="layer 1 is Odd"):
        fn.Network([Odd(3), fn.Dense(1)])
