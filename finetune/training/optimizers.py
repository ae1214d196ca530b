"""PaddleOCR's optimizers and schedules in PyTorch's terms.

The learning rate is PaddlePaddle's at every step (tests hold it to `paddle.optimizer.lr`), and so are the
steps of Momentum, Adam, AdamW and Adadelta. Where the formulas differ:

- After a warm-up the schedule begins at its own start, at full length: when the run ends, Cosine is not at 0.
- PaddlePaddle's warm-up starts at 0 in its first step; PyTorch's `LinearLR` cannot, so `LambdaLR` does it.
- RMSProp adds epsilon below the root there, and here its root to the root: a step is at most 1.4 times
  smaller, where gradients are as small as that. With a momentum, the learning rate is inside of it there, and
  here outside: the two differ as far as the rate changes within the momentum's memory.
- Gradients are clipped before the regularizer is added, as there.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import (
    CosineAnnealingLR,
    CosineAnnealingWarmRestarts,
    LambdaLR,
    LRScheduler,
    MultiStepLR,
    OneCycleLR,
    PolynomialLR,
    SequentialLR,
    StepLR,
)

from edge_lpr.finetune.recipe.optimizing import OptimizerSettings, ScheduleSettings

__all__ = ["build_optimizer", "build_schedule", "clip_gradients", "regularize"]

# What PaddleOCR gives the first phase of TwoStepCosine, in epochs, whatever the config says.
_TWO_STEP_EPOCHS = 200


def build_optimizer(
    network: nn.Module,
    settings: OptimizerSettings,
    *,
    undecayed: Callable[[str], bool] = lambda _: False,
    factors: Callable[[str], float | None] = lambda _: None,
    rates: Callable[[str], float] = lambda _: 1.0,
) -> torch.optim.Optimizer:
    """Makes the optimizer of a network's parameters that are trained.

    Args:
        network: The network.
        settings: The section `Optimizer`.
        undecayed: Tells of a parameter's name whether the network leaves it out of the regularizer.
        factors: Gives the factor of L2 where the network has one of its own for a parameter.
        rates: Gives the share of the learning rate that the network has for a parameter.
    """
    groups: dict[tuple[float, float, float], list[Tensor]] = {}
    of_all = (settings.factor, 0.0) if settings.regularizer == "L2" else (0.0, settings.factor)
    for name, parameter in network.named_parameters():
        if not parameter.requires_grad:
            continue
        own = factors(name)
        free = settings.one_dim_param_no_weight_decay and parameter.ndim <= 1
        named = any(part in name for part in settings.no_weight_decay_name)
        if free or named or undecayed(name):
            own = 0.0
        decays = of_all if own is None else (own, 0.0)
        groups.setdefault((*decays, rates(name)), []).append(parameter)
    rate = settings.schedule.learning_rate
    made = [
        {"params": parameters, "weight_decay": l2, "l1": l1, "lr": rate * share}
        for (l2, l1, share), parameters in sorted(groups.items(), key=lambda group: group[0], reverse=True)
    ]
    return _OPTIMIZERS[settings.name](made, settings)


_OPTIMIZERS: dict[str, Callable[[list[dict[str, object]], OptimizerSettings], torch.optim.Optimizer]] = {
    "Momentum": lambda groups, s: torch.optim.SGD(groups, s.schedule.learning_rate, momentum=s.momentum),
    "Adam": lambda groups, s: torch.optim.Adam(
        groups, s.schedule.learning_rate, betas=(s.beta1, s.beta2), eps=s.epsilon
    ),
    "AdamW": lambda groups, s: torch.optim.AdamW(
        groups, s.schedule.learning_rate, betas=(s.beta1, s.beta2), eps=s.epsilon
    ),
    "RMSProp": lambda groups, s: torch.optim.RMSprop(
        groups, s.schedule.learning_rate, alpha=s.rho, eps=math.sqrt(s.epsilon), momentum=s.momentum
    ),
    "Adadelta": lambda groups, s: torch.optim.Adadelta(
        groups, s.schedule.learning_rate, rho=s.rho, eps=s.epsilon
    ),
}


def clip_gradients(network: nn.Module, settings: OptimizerSettings) -> bool:
    """Scales gradients down as `clip_norm` and `clip_norm_global` say; tells whether they are finite."""
    trained = [p for p in network.parameters() if p.grad is not None]
    if settings.clip_norm_global is not None:
        return bool(torch.isfinite(nn.utils.clip_grad_norm_(trained, settings.clip_norm_global)))
    if settings.clip_norm is not None:
        norms = [nn.utils.clip_grad_norm_([p], settings.clip_norm) for p in trained]
        return bool(torch.isfinite(torch.stack(norms)).all()) if norms else True
    return bool(torch.isfinite(nn.utils.get_total_norm([p.grad for p in trained if p.grad is not None])))


@torch.no_grad()
def regularize(optimizer: torch.optim.Optimizer) -> None:
    """Adds the gradient of L1 to the gradients; L2 is for the optimizer to add."""
    for group in optimizer.param_groups:
        if group["l1"]:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    parameter.grad.add_(parameter.sign(), alpha=group["l1"])


def build_schedule(
    optimizer: torch.optim.Optimizer,
    settings: ScheduleSettings,
    epochs: int,
    epoch_steps: int,
    final_learning_rate: float = 0.0,
) -> LRScheduler:
    """Makes the schedule of the learning rate; it is advanced after every step.

    Args:
        optimizer: Its learning rate is that of `settings`, or a share of it in some of its groups.
        settings: `Optimizer.lr`.
        epochs: Of the run.
        epoch_steps: Steps in an epoch.
        final_learning_rate: Where Cosine ends.
    """
    warmup = round(settings.warmup_epoch * epoch_steps)
    if not warmup:
        return _schedule(optimizer, settings, epochs, epoch_steps, final_learning_rate, warmed=False)
    # Made before the other one: OneCycle changes what the optimizer begins with.
    rising = LambdaLR(optimizer, lambda step: step / warmup)
    following = _schedule(optimizer, settings, epochs, epoch_steps, final_learning_rate, warmed=True)
    return SequentialLR(optimizer, [rising, following], milestones=[warmup])


def _schedule(  # noqa: PLR0911 - a case for each
    optimizer: torch.optim.Optimizer,
    s: ScheduleSettings,
    epochs: int,
    epoch_steps: int,
    final: float,
    *,
    warmed: bool,
) -> LRScheduler:
    steps = epochs * epoch_steps
    # A warm-up that was made before has set what it begins with.
    rates = [group.get("initial_lr", group["lr"]) for group in optimizer.param_groups]
    match s.name:
        case "Cosine" if not final or set(rates) == {s.learning_rate}:
            return CosineAnnealingLR(optimizer, T_max=steps, eta_min=final)
        case "CyclicalCosine":
            return CosineAnnealingWarmRestarts(optimizer, T_0=max(1, round(s.cycle * epoch_steps)))
        case "Step":
            return StepLR(optimizer, step_size=max(1, round(s.step_size * epoch_steps)), gamma=s.gamma)
        case "MultiStepDecay":
            return MultiStepLR(optimizer, [round(e * epoch_steps) for e in s.milestones], gamma=s.gamma)
        case "OneCycle":
            return OneCycleLR(
                optimizer,
                rates,
                total_steps=steps,
                anneal_strategy=s.anneal_strategy,
                three_phase=s.three_phase,
                cycle_momentum=False,
            )
        case "Linear" | "DecayLearningRate" if s.end_lr == 0:
            return PolynomialLR(optimizer, total_iters=steps, power=s.power)
        case _:
            return LambdaLR(optimizer, _factor(s, epochs, epoch_steps, final, warmed=warmed))


def _factor(
    s: ScheduleSettings, epochs: int, epoch_steps: int, final: float, *, warmed: bool
) -> Callable[[int], float]:
    """Returns what the learning rate is multiplied by at a step, for schedules that PyTorch has none for."""
    steps = epochs * epoch_steps

    def piecewise(step: int) -> float:
        for end, value in zip(s.decay_epochs, s.values, strict=False):
            if step < round(end * epoch_steps):
                return value / s.learning_rate
        return s.values[-1] / s.learning_rate

    def two_step_cosine(step: int) -> float:
        first = _TWO_STEP_EPOCHS * epoch_steps
        if step <= first:
            return (1 + math.cos(math.pi * step / first)) / 2
        # PaddleOCR's formula of the step before gives 0 for ever after the first phase; its closed one, which
        # PaddlePaddle takes after a warm-up, goes on along the second cosine.
        return (1 + math.cos(math.pi * step / steps)) / 2 if warmed else 0.0

    def linear(step: int) -> float:
        end = s.end_lr / s.learning_rate
        return float((1 - end) * (1 - min(step, steps) / steps) ** s.power + end)

    def cosine(step: int) -> float:
        end = final / s.learning_rate
        return end + (1 - end) * (1 + math.cos(math.pi * step / steps)) / 2

    made = {"Piecewise": piecewise, "TwoStepCosine": two_step_cosine, "Linear": linear, "Cosine": cosine}
    return made.get(s.name, lambda _: 1.0)
