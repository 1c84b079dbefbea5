"""The state of a training, and a file's description of it: JSON, and arrays by name."""

from typing import Any

import numpy as np

from ..checks import known, positive_integer, real_number
from ..data.targets import Classification, MultiLabel
from ..execution.layout import n_targets
from ..training.history import History
from ..training.state import TrainingState, Unfinished
from ..training.trainable import Trainable
from .json_checks import check_plain, fields, mapping, number, sequence, whole
from .model_file import Tensor, Tensors, can_hold, take

_PREFIX = "training."  # begins the names of tensors that are no parameters
_STATES = {"SGD": (0, 1), "RMSProp": (2,), "Adam": (2,), "AdamW": (2,)}  # how many of them an optimizer may have
_SIZES = ("m", "batch_size")  # of an unfinished epoch
_MOST_STEPS = 1 << 50  # whole numbers that floats still tell apart, with some to spare


# ---------------------------------------------------------------- writing


def describe(training: TrainingState, network: Trainable) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """As JSON, and arrays by the names of their tensors; TypeError for what a callback remembers and no file holds."""
    arrays = {f"{_PREFIX}state{i}": state for i, state in enumerate(training.states) if state.size}
    if training.last is not None:
        arrays[f"{_PREFIX}last"] = training.last
    unfinished = None
    if training.unfinished is not None:
        epoch = training.unfinished
        unfinished = {name: getattr(epoch, name) for name in ("rng_before", "rng", "step", "steps", "seconds", *_SIZES)}
        arrays |= {f"{_PREFIX}unfinished.{name}": getattr(epoch, name) for name in ("costs", "scores")}
        arrays |= {f"{_PREFIX}unfinished.seen.{name}": array for name, array in epoch.seen.items()}
    callbacks = {}
    kept: list[np.ndarray] = []
    for name, state in training.callbacks.items():
        callbacks[name] = _describe_callback(name, state, kept)
    arrays |= {f"{_PREFIX}callbacks.{i}": array for i, array in enumerate(kept)}
    description = {
        "optimizer": training.optimizer,
        "noise": training.dropout_seed,
        "steps": training.steps,
        "history": {name: [float(value) for value in values] for name, values in training.history.items()},
        "rng": network.rng.bit_generator.state,
        "learning_rate": network.learning_rate,
        "unfinished": unfinished,
        "callbacks": callbacks,
    }
    return description, arrays


def _describe_callback(name: object, state: object, kept: list[np.ndarray]) -> dict[str, Any]:
    """What a callback remembers; its arrays are added to `kept`."""
    if not isinstance(name, str) or not isinstance(state, dict):
        raise TypeError(f"callback {name!r} remembers {state!r}: give {{text: value}} under a text")
    values, arrays = {}, {}
    for key, value in state.items():
        try:
            if not isinstance(key, str):
                raise TypeError("what is not under a text")
            if isinstance(value, np.generic):
                value = value.item()
            if not isinstance(value, np.ndarray):
                check_plain(value)
                values[key] = value
            elif can_hold(value):
                arrays[key] = len(kept)
                kept.append(value)
            else:
                raise TypeError(f"an array of {value.dtype}")
        except TypeError as error:
            raise TypeError(
                f"callback {name!r} remembers {error} as {key!r}: a file holds arrays of numbers, and what JSON can say"
            ) from None
    return {"values": values, "arrays": arrays}


# ---------------------------------------------------------------- reading


def restore(description: Any, version: int, tensors: Tensors, network: Trainable, size: int) -> TrainingState:
    """The state of a training of `network`, whose buffer has `size` numbers; its random generator is set, too.

    Its tensors are taken out. Raises ValueError or TypeError for what does not fit.
    """
    if version < 3:
        description = _upgraded(description, tensors, network, size)
    names = ("optimizer", "noise", "steps", "history", "rng", "learning_rate", "unfinished", "callbacks")
    given = fields("training", description, names)
    optimizer = given["optimizer"]
    if not isinstance(optimizer, str) or not optimizer.isidentifier():
        raise ValueError(f"training.optimizer is {optimizer!r} and no optimizer's name")
    state_names = [f"{_PREFIX}state{i}" for i in range(2)]
    n_states = sum(name in tensors for name in state_names)
    if n_states not in _STATES.get(optimizer, (0, 1, 2)):
        raise ValueError(f"training has {n_states} arrays of what {optimizer} remembers")
    states = [take(tensors, name, network.dtype, (size,)) for name in state_names[:n_states]]
    last = take(tensors, f"{_PREFIX}last", network.dtype, (size,)) if f"{_PREFIX}last" in tensors else None
    rng = _rng_state("training.rng", given["rng"])
    learning_rate = real_number("training.learning_rate", given["learning_rate"], at_least=0)
    state = TrainingState(
        optimizer,
        (np.zeros(0, network.dtype), np.zeros(0, network.dtype)),
        whole("training.noise", given["noise"], 1 << 63),
        whole("training.steps", given["steps"], _MOST_STEPS),
        _history(given["history"], network.task.metric),
        None if given["unfinished"] is None else _unfinished(given["unfinished"], tensors, network),
        callbacks=_callbacks(given["callbacks"], tensors),
    )
    found = [tensor.read() for tensor in states]
    found += [np.zeros(0, network.dtype)] * (2 - n_states)
    state.states = (found[0], found[1])
    state.last = None if last is None else last.read()
    network.rng.bit_generator.state = rng
    network.learning_rate = learning_rate
    return state


def _history(value: Any, metric: str) -> History:
    lists = {
        name: [number(f"training.history[{name!r}][{i}]", each) for i, each in enumerate(sequence(name, values))]
        for name, values in mapping("training.history", value).items()
    }
    epochs = len(lists.get("cost", ()))
    for name in ("cost", metric, "seconds"):
        if len(lists.get(name, ())) != epochs or name not in lists:
            raise ValueError(f"training.history[{name!r}] has not one number for each of {epochs} epochs")
    for name, values in lists.items():
        if len(values) > epochs:
            raise ValueError(f"training.history[{name!r}] has {len(values)} numbers for {epochs} epochs")
    history = History(lists)
    history.complete()
    return history


def _rng_state(where: str, value: Any) -> dict[str, Any]:
    """The state of a PCG64."""
    given = fields(where, value, ("bit_generator", "state", "has_uint32", "uinteger"))
    known(f"{where}.bit_generator", given["bit_generator"], ["PCG64"])
    inner = fields(f"{where}.state", given["state"], ("state", "inc"))
    whole(f"{where}.state.state", inner["state"], 1 << 128)
    if whole(f"{where}.state.inc", inner["inc"], 1 << 128) % 2 == 0:
        raise ValueError(f"{where}.state.inc={inner['inc']} is even: a PCG64 has an odd one")
    whole(f"{where}.has_uint32", given["has_uint32"], 2)
    whole(f"{where}.uinteger", given["uinteger"], 1 << 32)
    return given


def _unfinished(value: Any, tensors: Tensors, network: Trainable) -> Unfinished:
    where = "training.unfinished"
    given = fields(where, value, ("rng_before", "rng", "step", "steps", "seconds", *_SIZES))
    step = whole(f"{where}.step", given["step"], _MOST_STEPS)
    steps = given["steps"]
    if steps is not None and step > whole(f"{where}.steps", steps, _MOST_STEPS):
        raise ValueError(f"{where}.step={step} is beyond the epoch's {steps} steps")
    sizes = _sizes(where, given, steps)
    costs, scores = (take(tensors, f"{where}.{name}", np.float64, (step,)) for name in ("costs", "scores"))
    return Unfinished(
        _rng_state(f"{where}.rng_before", given["rng_before"]),
        _rng_state(f"{where}.rng", given["rng"]),
        step,
        steps,
        costs.read(),
        scores.read(),
        real_number(f"{where}.seconds", given["seconds"], at_least=0),
        *sizes,
        _seen(f"{where}.seen", step, tensors, network),
    )


def _sizes(where: str, given: dict[str, Any], steps: int | None) -> tuple[int | None, int | None]:
    """How many samples an epoch of arrays has, and how many a mini-batch."""
    if all(given[name] is None for name in _SIZES):
        return None, None
    m, batch_size = (positive_integer(f"{where}.{name}", given[name]) for name in _SIZES)
    if steps != -(-m // batch_size):
        raise ValueError(f"{where}.m={m} in mini-batches of {batch_size} are not {steps} steps")
    return m, batch_size


def _seen(where: str, step: int, tensors: Tensors, network: Trainable) -> dict[str, np.ndarray]:
    """What a stream has given before it was interrupted; nothing where training was on arrays."""
    if not any(name.startswith(f"{where}.") for name in tensors):
        return {}
    found = {"sizes": take(tensors, f"{where}.sizes", np.int64, (step,)).read()}
    sizes = found["sizes"].tolist()
    if min(sizes, default=1) < 1:
        raise ValueError(f"{where}.sizes holds {min(sizes)}: a mini-batch has at least one sample")
    m, steps = sum(sizes), network.task.steps or 1
    n_units = steps * network.task.n_units
    shape = (m, n_targets(network.loss_and_setting, n_units, steps))
    found["targets"] = take(tensors, f"{where}.targets", network.dtype, shape).read()
    if not _are_targets(found["targets"], network):
        raise ValueError(f"{where}.targets holds what is no target of this network")
    if f"{where}.outputs" in tensors:
        found["outputs"] = take(tensors, f"{where}.outputs", network.dtype, (m, n_units)).read()
    return found


def _are_targets(Y: np.ndarray, network: Trainable) -> bool:
    """Whether Y can be what the network's task makes of targets."""
    task = network.task
    if isinstance(task, Classification):
        is_right = np.abs(Y) == 1 if task.signed else np.isin(Y, np.arange(task.n_classes))
    else:
        is_right = (Y == 0) | (Y == 1) if isinstance(task, MultiLabel) else np.isfinite(Y)
    return bool(is_right.all())


def _callbacks(value: Any, tensors: Tensors) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for name, state in mapping("training.callbacks", value).items():
        where = f"training.callbacks[{name!r}]"
        given = fields(where, state, ("values", "arrays"))
        found[name] = dict(mapping(f"{where}.values", given["values"]))
        check_plain(found[name], depth=-1)  # of each value, as it was written
        for key, index in mapping(f"{where}.arrays", given["arrays"]).items():
            if key in found[name]:
                raise ValueError(f"{where} has {key!r} twice")
            place = whole(f"{where}.arrays[{key!r}]", index, 1 << 63)
            found[name][key] = take(tensors, f"{_PREFIX}callbacks.{place}").read()
    return found


def _upgraded(description: Any, tensors: Tensors, network: Trainable, size: int) -> dict[str, Any]:
    """The description, and tensors, that format 3 has for a training of format 2.

    That one kept costs and scores of the whole epoch's length, and the best parameters of the one callback that
    remembered any. Epochs of arrays were the only ones to go on with, and these draw their order before the first step.
    """
    given = fields("training", description, ("optimizer", "noise", "steps", "history", "rng", "unfinished"))
    unfinished = given["unfinished"]
    if unfinished is not None:
        old = fields("training.unfinished", unfinished, ("rng", "step"))
        steps = next(iter(take(dict(tensors), f"{_PREFIX}costs", np.float64).shape), 0)
        step = whole("training.unfinished.step", old["step"], steps + 1)
        for name in ("costs", "scores"):
            whole_epoch: Tensor = take(tensors, f"{_PREFIX}{name}", np.float64, (steps,))
            tensors[f"{_PREFIX}unfinished.{name}"] = whole_epoch.first(step)
        unfinished = {"rng_before": old["rng"], "rng": given["rng"], "step": step, "steps": steps, "seconds": 0.0}
        unfinished |= dict.fromkeys(_SIZES)
    callbacks = {}
    if f"{_PREFIX}best" in tensors:
        tensors[f"{_PREFIX}callbacks.0"] = take(tensors, f"{_PREFIX}best", network.dtype, (size,))
        callbacks = {"EarlyStopping": {"values": {"monitor": None}, "arrays": {"best": 0}}}
    return {**given, "learning_rate": 0.0, "unfinished": unfinished, "callbacks": callbacks}
