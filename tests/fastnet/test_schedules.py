"""Schedules: what they need to know, and that what they give is checked."""

import copy
import math
import pickle

import numpy as np
import pytest

import fastnet as fn
from fastnet import schedules
from fastnet.schedules import Schedule, as_schedule, checked_rates

ALL = {
    "constant(0.1)": schedules.constant(0.1),
    "step(0.1, every=10)": schedules.step(0.1, every=10),
    "step(0.1, every=10, factor=0.5)": schedules.step(0.1, every=10, factor=0.5),
    "exponential(0.1, factor=0.9)": schedules.exponential(0.1, factor=0.9),
    "cosine(0.1)": schedules.cosine(0.1),
    "cosine(0.1, warmup=5, steps=50)": schedules.cosine(0.1, warmup=5, steps=50),
    "reduce_on_plateau(0.1, patience=3)": schedules.reduce_on_plateau(0.1, patience=3),
    "reduce_on_plateau(0.1, monitor='odd', mode='max')": schedules.reduce_on_plateau(0.1, monitor="odd", mode="max"),
}


@pytest.mark.parametrize("text", ALL)
def test_a_schedule_is_shown_as_the_call_that_makes_it(text):
    assert repr(ALL[text]) == text
    assert eval(text, dict(vars(schedules))) == ALL[text]
    for twin in (copy.deepcopy(ALL[text]), pickle.loads(pickle.dumps(ALL[text]))):
        assert twin == ALL[text]


def test_optimizers_are_shown_as_calls():
    assert repr(fn.SGD(0.1, momentum=0.9)) == "SGD(0.1, momentum=0.9)"
    assert repr(fn.Adam()) == "Adam(0.001)"
    assert repr(fn.AdamW(schedules.cosine(0.1), clip_norm=1.0)) == "AdamW(cosine(0.1), clip_norm=1.0)"


def test_what_schedules_need_to_know():
    class Own(Schedule):
        pass

    assert Own().follows_history
    assert not Own().needs_total
    assert as_schedule(lambda step: 0.1).follows_history is False
    for text, schedule in ALL.items():
        assert schedule.needs_total == (text == "cosine(0.1)")
        assert schedule.follows_history == text.startswith("reduce_on_plateau")


@pytest.mark.parametrize("total", [None, 0])
def test_an_unknown_total(total):
    with pytest.raises(ValueError, match=r"cosine\(0.1\) falls over all steps .*give steps="):
        schedules.cosine(0.1).rates(0, 2, total, {})
    for text, schedule in ALL.items():
        if not schedule.needs_total:
            history = {"validation_cost": [1.0], "odd": [1.0]}
            np.testing.assert_array_equal(schedule.rates(0, 2, total, history), schedule.rates(0, 2, 50, history), text)


def rate_after(values, **options):
    schedule = schedules.reduce_on_plateau(1.0, factor=0.5, patience=1, **options)
    return float(schedule.rates(0, 1, None, {options["monitor"]: values})[0])


def test_plateaus_of_what_should_grow():
    assert rate_after([0.1, 0.2, 0.3, 0.4], monitor="validation_accuracy") == 1.0
    assert rate_after([0.4, 0.3, 0.2], monitor="validation_accuracy") == 0.5
    assert rate_after([0.4, 0.3, 0.2], monitor="validation_accuracy", mode="min") == 1.0
    assert rate_after([0.4, 0.3, 0.2], monitor="odd", mode="max") == 0.5
    with pytest.raises(ValueError, match=r"monitor='odd' .*give mode='min' or mode='max'"):
        rate_after([0.4], monitor="odd")
    with pytest.raises(ValueError, match="mode='up' is not known"):
        schedules.reduce_on_plateau(1.0, mode="up")


@pytest.mark.parametrize("mode", ["min", "max"])
def test_nan_is_worst(mode):
    sign = 1 if mode == "min" else -1
    nan = math.nan
    assert rate_after([nan, 3 * sign, 2 * sign], monitor="odd", mode=mode) == 1.0
    assert rate_after([3 * sign, nan, nan], monitor="odd", mode=mode) == 0.5
    assert rate_after([nan, nan], monitor="odd", mode=mode) == 1.0, "nothing was measured yet"


class Given(Schedule):
    def __init__(self, rates):
        self.given = rates

    def rates(self, first, last, total, history):
        return self.given

    def __repr__(self):
        return "Given"


@pytest.mark.parametrize(
    ("rates", "message"),
    [
        ([0.1], r"Given gives learning rates of shape \(1,\): return one for each of the steps 5 to 8, \(3,\)"),
        (0.1, r"shape \(\)"),
        ([[0.1] * 3], r"shape \(1, 3\)"),
        ([0.1, math.nan, 0.1], "the learning rate nan at step 6"),
        ([0.1, 0.1, math.inf], "the learning rate inf at step 7"),
        ([-0.1, 0.1, 0.1], "the learning rate -0.1 at step 5: return 0 or more"),
        (["a"] * 3, "return an array of numbers"),
        (None, "return an array of numbers"),
        ([1j] * 3, "return an array of numbers"),
    ],
)
def test_rates_are_checked(rates, message):
    with pytest.raises((ValueError, TypeError), match=message):
        checked_rates(Given(rates), 5, 8, None, {})


def test_rates_of_any_real_kind():
    for rates in ([0, 1, 2], np.arange(3, dtype=np.float32), range(3)):
        found = checked_rates(Given(rates), 5, 8, None, {})
        assert found.dtype == np.float64
        assert found.tolist() == [0, 1, 2]
    for make in (float, np.float32, np.int64, np.array):
        assert as_schedule(lambda step, make=make: make(step)).rates(1, 3, None, {}).tolist() == [1, 2]
    for given in (-1.0, math.nan, "a", None, np.zeros(2)):
        with pytest.raises((ValueError, TypeError), match="learning rate"):
            as_schedule(lambda step, given=given: given).rates(0, 1, None, {})
    with pytest.raises(TypeError, match="is a class"):
        fn.SGD(Given)
