"""The state of a training run, to resume from."""

from __future__ import annotations

import io
import warnings
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch

from edge_lpr.errors import ModelError, shown
from edge_lpr.finetune.recipe.config import FREE, TrainConfig
from edge_lpr.io.atomic_io import write_bytes

__all__ = ["RunState", "load_state", "save_state"]


_STEPS = "the number of steps"


@dataclass
class RunState:
    """State of a run after `step` steps.

    Attributes:
        config: `TrainConfig.effective`.
        steps: Steps of the whole run.
        step: Steps taken.
        best: Best metric so far.
        since_best: Evaluations since then.
        network: State of the trained network.
        average: State of the averaged model.
        optimizer: State of the optimizer.
        schedule: State of the learning rate's schedule.
        recent: Losses of the last steps, which the mean shown is of.
        history: Losses and metrics so far.
    """

    config: dict[str, Any]
    steps: int
    step: int
    best: float
    since_best: int
    network: dict[str, Any]
    average: dict[str, Any]
    optimizer: dict[str, Any]
    schedule: dict[str, Any]
    recent: list[float]
    history: dict[str, list[dict[str, float]]]


def save_state(path: Path, state: RunState) -> None:
    """Writes a run's state.

    Raises:
        OutputError: It cannot be written.
    """
    buffer = io.BytesIO()  # PyTorch's own writer reports a full disk as a RuntimeError
    torch.save(asdict(state), buffer)
    write_bytes(path, buffer.getbuffer())


def load_state(path: Path, config: TrainConfig) -> RunState:
    """Reads a run's state; admits tensors and plain values alone, no code.

    Args:
        path: The file that `save_state` wrote.
        config: What the run shall go on with; it must be the run's own where it decides the result.

    Raises:
        ModelError: No such file, not a checkpoint, or one of a run with other settings.
    """
    if not path.is_file():
        raise ModelError(f"{path}: no checkpoint to resume from; leave --resume out to start a run")
    try:
        with warnings.catch_warnings():
            # PyTorch warns of a foreign pickle before it refuses it.
            warnings.simplefilter("ignore")
            raw = torch.load(path, map_location="cpu", weights_only=True)
        state = RunState(**{f.name: raw[f.name] for f in fields(RunState)})
    except Exception as e:  # a pickle that was made up or damaged can raise anything at all
        # Its first sentence: PyTorch goes on with advice for whoever calls it.
        reason = str(e).splitlines()[0].partition(". ")[0][:120] if str(e) else type(e).__name__
        raise ModelError(f"{path}: not a checkpoint of this command, or damaged ({reason})") from e
    then, now = {**state.config, _STEPS: state.steps}, {**config.effective, _STEPS: config.steps}
    for name in [*now, *(name for name in then if name not in now)]:
        before, value = then.get(name), now.get(name)
        if name not in FREE and before != value:
            raise ModelError(
                f"{path}: the run was started with {name} = {shown(before)}, the config says {shown(value)}; "
                "set it back, or start a new run in another folder"
            )
    return state
