"""The section `Optimizer`: the optimizer, the learning rate, and what is added to gradients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

from edge_lpr.errors import SettingError
from edge_lpr.finetune.recipe.node import Node

__all__ = ["OPTIMIZERS", "SCHEDULES", "OptimizerSettings", "ScheduleSettings", "read_optimizer"]

OptimizerName = Literal["Momentum", "Adam", "RMSProp", "Adadelta", "AdamW"]
ScheduleName = Literal[
    "Const",
    "Linear",
    "Step",
    "Piecewise",
    "Cosine",
    "CyclicalCosine",
    "TwoStepCosine",
    "MultiStepDecay",
    "OneCycle",
    "DecayLearningRate",
]
OPTIMIZERS: tuple[OptimizerName, ...] = get_args(OptimizerName)
SCHEDULES: tuple[ScheduleName, ...] = get_args(ScheduleName)
# By what else they are known, such as in PaddlePaddle or in PyTorch.
_OTHERWISE = {
    "MultiStep": "MultiStepDecay",
    "Polynomial": "Linear, with power",
    "SGD": "Momentum, with momentum 0",
    "CosineAnnealingDecay": "Cosine",
    "RMSprop": "RMSProp",
}
# The keys that each optimizer knows, with PaddleOCR's defaults; None where it has none.
_KEYS: dict[OptimizerName, dict[str, float | None]] = {
    "Momentum": {"momentum": None},
    "Adam": {"beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8},
    "RMSProp": {"momentum": 0.0, "rho": 0.95, "epsilon": 1e-6},
    "Adadelta": {"rho": 0.95, "epsilon": 1e-8},
    "AdamW": {"beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8},
}
_SHARES = frozenset({"momentum", "beta1", "beta2", "rho"})


@dataclass(frozen=True)
class ScheduleSettings:
    """The learning rate over the run; lengths are in epochs, which may be broken.

    Attributes:
        name: One of `SCHEDULES`.
        learning_rate: The first one, after the warm-up; the highest one of OneCycle.
        warmup_epoch: How long it rises from 0 in a straight line; the schedule begins after it.
        end_lr: Where Linear ends.
        power: Of Linear's and DecayLearningRate's polynomial.
        step_size: After how many epochs Step multiplies.
        gamma: What Step and MultiStepDecay multiply by.
        milestones: After which epochs MultiStepDecay multiplies.
        decay_epochs: After which epochs Piecewise changes.
        values: To what, the first one included.
        cycle: How long CyclicalCosine falls before it starts again.
        anneal_strategy: "cos" or "linear", of OneCycle.
        three_phase: Whether OneCycle falls in two phases.
    """

    name: ScheduleName
    learning_rate: float
    warmup_epoch: float = 0.0
    end_lr: float = 0.0
    power: float = 1.0
    step_size: float = 1.0
    gamma: float = 0.1
    milestones: tuple[float, ...] = ()
    decay_epochs: tuple[float, ...] = ()
    values: tuple[float, ...] = ()
    cycle: float = 1.0
    anneal_strategy: Literal["cos", "linear"] = "cos"
    three_phase: bool = False


@dataclass(frozen=True)
class OptimizerSettings:
    """How gradients become steps.

    Attributes:
        name: One of `OPTIMIZERS`.
        schedule: The learning rate.
        beta1: Adam's and AdamW's decay of the mean.
        beta2: Their decay of the square.
        epsilon: Added to a divisor.
        momentum: Of Momentum and RMSProp.
        rho: Decay of RMSProp's and Adadelta's squares.
        regularizer: "L2", "L1", or None; AdamW's is decoupled from the gradient.
        factor: Of the regularizer.
        clip_norm: Each parameter's gradient is scaled down to this norm; None leaves them.
        clip_norm_global: All gradients together are scaled down to this norm; None leaves them.
        no_weight_decay_name: Parts of names of parameters that AdamW does not decay.
        one_dim_param_no_weight_decay: Whether norms and biases are left out of the regularizer.
    """

    name: OptimizerName
    schedule: ScheduleSettings
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    momentum: float = 0.0
    rho: float = 0.95
    regularizer: Literal["L1", "L2"] | None = None
    factor: float = 0.0
    clip_norm: float | None = None
    clip_norm_global: float | None = None
    no_weight_decay_name: tuple[str, ...] = ()
    one_dim_param_no_weight_decay: bool = False


def read_optimizer(node: Node) -> OptimizerSettings:
    """Reads the section.

    Raises:
        SettingError: A key is not supported, or a value is out of its range.
    """
    name = node.choice("name", "Adam", OPTIMIZERS, _alternative(node, OPTIMIZERS))
    values: dict[str, Any] = {}
    for key, default in _KEYS[name].items():
        if default is None and not node.has(key):
            raise SettingError(f"{node.key(key)} is missing, expected a number from 0 to 1")
        high = 1.0 if key in _SHARES else 1e9
        values[key] = node.number(key, default or 0.0, low=0.0, high=high)
    if name == "Adam":
        node.only("lazy_mode", False, "for sparse gradients, which there are none of here; take it out")
    if name == "AdamW":
        values["no_weight_decay_name"] = tuple((node.text("no_weight_decay_name") or "").split())
        values["one_dim_param_no_weight_decay"] = node.flag("one_dim_param_no_weight_decay", False)
        node.idle("multi_precision")
    values |= _read_regularizer(node, name)
    for key in ("clip_norm", "clip_norm_global"):
        if node.has(key):
            values[key] = node.number(key, 0.0, low=1e-9)
    schedule = _read_schedule(node.child("lr"))
    node.close()
    return OptimizerSettings(name=name, schedule=schedule, **values)


def _read_regularizer(node: Node, optimizer: OptimizerName) -> dict[str, Any]:
    if node.has("regularizer"):
        regularizer = node.child("regularizer")
        kind = regularizer.choice("name", "L2", ("L2", "L1"))
        if optimizer == "AdamW" and kind == "L1":
            regularizer.refuse("name", kind, "with AdamW only L2 is supported; take Adam")
        factor = regularizer.number("factor", 0.0, low=0.0)
        regularizer.close()
        node.idle("weight_decay")
        return {"regularizer": kind, "factor": factor}
    node.raw("regularizer", remember=False)
    if node.has("weight_decay") or optimizer == "AdamW":
        return {"regularizer": "L2", "factor": node.number("weight_decay", 0.01, low=0.0)}
    return {}


def _read_schedule(node: Node) -> ScheduleSettings:
    # PaddleOCR takes one without a name as constant.
    name = node.choice("name", "Const", SCHEDULES, _alternative(node, SCHEDULES))
    values: dict[str, Any] = {}
    if name != "DecayLearningRate":
        values["warmup_epoch"] = node.number("warmup_epoch", 0.0, low=0.0)
    if name == "Piecewise":
        values["decay_epochs"] = tuple(node.numbers("decay_epochs", ()))
        values["values"] = tuple(node.numbers("values", ()))
        if len(values["values"]) < max(1, len(values["decay_epochs"])):
            node.refuse(
                "values",
                node.values.get("values"),
                "expected a number for each of decay_epochs, and one after",
            )
        values["learning_rate"] = values["values"][0]
        node.idle("learning_rate")
    else:
        key = "max_lr" if name == "OneCycle" else "learning_rate"
        if not node.has(key):
            raise SettingError(f"{node.key(key)} is missing, expected a number above 0")
        values["learning_rate"] = node.number(key, 0.0, low=1e-12, high=10.0)
    if name == "Linear":
        values["end_lr"] = node.number("end_lr", 0.0, low=0.0, high=values["learning_rate"])
        values["power"] = node.number("power", 1.0, low=0.0)
    elif name == "DecayLearningRate":
        values["power"] = node.number("factor", 0.9, low=0.0)
        node.idle("end_lr", "warmup_epoch")
    elif name in ("Step", "MultiStepDecay"):
        values["gamma"] = node.number("gamma", 0.1, low=0.0)
        if name == "Step":
            values["step_size"] = node.number("step_size", 1.0, low=1e-9)
        else:
            values["milestones"] = tuple(node.numbers("milestones", ()))
    elif name == "CyclicalCosine":
        values["cycle"] = node.number("cycle", 1.0, low=1e-9)
    elif name == "OneCycle":
        values["anneal_strategy"] = node.choice("anneal_strategy", "cos", ("cos", "linear"))
        values["three_phase"] = node.flag("three_phase", False)
    node.close()
    return ScheduleSettings(name=name, **values)


def _alternative(node: Node, names: tuple[str, ...]) -> str:
    """Says what to take instead of a name that is known from elsewhere; empty for one that is not."""
    other = _OTHERWISE.get(str(node.values.get("name")))
    return f"PaddleOCR calls it {other}; supported: {', '.join(names)}" if other else ""
