"""The training loop that both fine-tunings share.

A run is a pure function of its config and its start: batch `i` is made from seed and `i` alone, dropout is
seeded per step, and a checkpoint holds weights, their average, optimizer and step. So a run that was stopped
and resumed takes the same steps as one that was not.
"""

from __future__ import annotations

import copy
import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from edge_lpr.errors import EdgeLprError, OutputError
from edge_lpr.finetune.checkpoint import (
    Checkpoint,
    load_checkpoint,
    save_checkpoint,
    save_weights,
    write_aside,
)
from edge_lpr.finetune.config import TrainConfig
from edge_lpr.finetune.folding import fold_batch_norms, unfold_batch_norms
from edge_lpr.finetune.networks import weights_of

__all__ = ["Report", "Task", "TrainingError", "learning_rate", "train"]

CHECKPOINT = "latest.checkpoint"
BEST = "best.pdparams"
LATEST = "latest.pdparams"
HISTORY = "history.json"
# A single step can go astray; more in a row than this and the run does not recover.
MAX_BAD_STEPS = 5


class TrainingError(EdgeLprError):
    """The run cannot go on: the loss is not a number."""


class Task(Protocol):
    """What is trained: a network, its batches, its loss and its metric."""

    network: nn.Module
    metric: str

    def batch(self, step: int) -> Any:
        """Makes the batch of one step; the same for the same step, in any process.

        Worker processes get a pickled copy of the task, which need not hold the network.
        """

    def loss(self, network: nn.Module, batch: Any) -> tuple[Tensor, dict[str, float]]:
        """Returns the loss of a batch and what it consists of."""

    def evaluate(self, network: nn.Module) -> dict[str, float]:
        """Returns metrics of a network in evaluation mode, `metric` among them; larger is better."""


@dataclass
class Report:
    """What the loop tells while it runs.

    Attributes:
        step: Steps done.
        steps: Steps of the whole run.
        loss: Mean over the last steps.
        parts: Parts of the loss, at the last step.
        rate: Steps per second.
        remaining: Seconds left at this rate.
        metrics: Result of an evaluation, where this report is one.
        best: Whether these metrics are the best so far.
    """

    step: int
    steps: int
    loss: float
    parts: dict[str, float]
    rate: float
    remaining: float
    metrics: dict[str, float] = field(default_factory=dict)
    best: bool = False


class _Steps(Dataset[Any]):
    def __init__(self, task: Task) -> None:
        self.task = task

    def __getitem__(self, step: int) -> Any:
        return self.task.batch(step)


def _one_thread(_worker: int) -> None:
    import cv2  # noqa: PLC0415

    cv2.setNumThreads(1)
    torch.set_num_threads(1)


def _batches(task: Task, config: TrainConfig, start: int) -> Iterator[Any]:
    loader: DataLoader[Any] = DataLoader(
        _Steps(task),
        batch_size=None,
        sampler=range(start, config.steps),
        num_workers=config.workers,
        prefetch_factor=3 if config.workers else None,
        worker_init_fn=_one_thread,
        # A forked process would inherit OpenCV's thread pool without its threads, and wait for them forever.
        multiprocessing_context="spawn" if config.workers else None,
    )
    return iter(loader)


def learning_rate(config: TrainConfig, step: int) -> float:
    """Learning rate of a step: half a cosine from the first to the final, no warm-up."""
    turn = 0.5 * (1 + math.cos(math.pi * step / config.steps))
    return config.final_learning_rate + (config.learning_rate - config.final_learning_rate) * turn


def _optimizer(network: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    """Adam with L2 on weights of convolutions and linear layers; biases and norms are left alone."""
    decayed = [p for p in network.parameters() if p.requires_grad and p.ndim > 1]
    free = [p for p in network.parameters() if p.requires_grad and p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": config.weight_decay}, {"params": free, "weight_decay": 0.0}]
    return torch.optim.Adam(groups, lr=config.learning_rate)


@torch.no_grad()
def _average(average: nn.Module, network: nn.Module, decay: float) -> None:
    for kept, new in zip(average.state_dict().values(), network.state_dict().values(), strict=True):
        if kept.dtype.is_floating_point:
            kept.lerp_(new, 1.0 - decay)
        else:
            kept.copy_(new)


class _Run:
    """One training run: its state, and where it is kept."""

    def __init__(self, task: Task, config: TrainConfig, out: Path, device: torch.device) -> None:
        self.task, self.config, self.out, self.device = task, config, out, device
        self.network = task.network.to(device, memory_format=torch.channels_last)
        if config.freeze_batch_norm:
            fold_batch_norms(self.network)
        self.average = copy.deepcopy(self.network).eval()
        self.optimizer = _optimizer(self.network, config)
        self.step = 0
        self.best = -math.inf
        self.since_best = 0
        self.history: dict[str, list[dict[str, float]]] = {"loss": [], "metrics": []}

    def weights(self) -> dict[str, NDArray[np.float32]]:
        """Averaged weights under PaddleOCR's names."""
        network = copy.deepcopy(self.average)
        unfold_batch_norms(network)
        return weights_of(network)

    def save(self) -> None:
        state = Checkpoint(
            config=self.config.to_json(),
            step=self.step,
            best=self.best,
            since_best=self.since_best,
            network=self.network.state_dict(),
            average=self.average.state_dict(),
            optimizer=self.optimizer.state_dict(),
            history=self.history,
        )
        save_checkpoint(self.out / CHECKPOINT, state)
        save_weights(self.out / LATEST, self.weights())
        write_aside(self.out / HISTORY, json.dumps(self.history).encode())

    def resume(self) -> None:
        state = load_checkpoint(self.out / CHECKPOINT, self.config)
        self.network.load_state_dict(state.network)
        self.average.load_state_dict(state.average)
        self.optimizer.load_state_dict(state.optimizer)
        self.step, self.best, self.since_best = state.step, state.best, state.since_best
        self.history = state.history

    def take_step(self, batch: Any) -> tuple[float, dict[str, float]]:
        """Takes one optimizer step; returns NaN, and changes nothing, where loss or gradient are not finite."""
        config = self.config
        torch.manual_seed((config.seed * 1_000_003 + self.step) % 2**63)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(config, self.step)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=config.precision == "bfloat16"):
            loss, parts = self.task.loss(self.network, batch)
        self.optimizer.zero_grad(set_to_none=True)
        finite = bool(torch.isfinite(loss))
        if finite:
            loss.backward()  # type: ignore[no-untyped-call]
            norm = torch.nn.utils.clip_grad_norm_(self.network.parameters(), config.clip_norm)
            finite = bool(torch.isfinite(norm))
        if finite:
            self.optimizer.step()
            # A short memory at first, so that the average does not drag the start along.
            _average(self.average, self.network, min(config.ema, (1 + self.step) / (10 + self.step)))
        self.step += 1
        return (float(loss.detach()) if finite else math.nan), parts

    def evaluate(self) -> tuple[dict[str, float], bool]:
        metrics = self.task.evaluate(self.average)
        self.history["metrics"].append({"step": float(self.step), **metrics})
        better = metrics[self.task.metric] > self.best
        if better:
            self.best, self.since_best = metrics[self.task.metric], 0
            save_weights(self.out / BEST, self.weights())
        else:
            self.since_best += 1
        return metrics, better


def train(
    task: Task,
    config: TrainConfig,
    out: Path,
    *,
    resume: bool = False,
    report: Callable[[Report], None] = lambda _: None,
    device: str = "cpu",
) -> dict[str, list[dict[str, float]]]:
    """Trains until the last step, or until the metric has not grown for `patience` evaluations.

    Args:
        task: What to train; its network holds the start's weights and is changed in place.
        config: The run's settings.
        out: Folder for `best.pdparams`, `latest.pdparams` (averaged weights under PaddleOCR's names),
            `latest.checkpoint` and `history.json`; made if missing.
        resume: Go on from `latest.checkpoint` in `out`.
        report: Called after every step.
        device: PyTorch's name of the device.

    Returns:
        The history: lists of {"step", "loss"} and of {"step", metrics…}.

    Raises:
        TrainingError: Loss or gradient were not finite for several steps in a row; the last good state is saved.
        OutputError: A checkpoint could not be written; the one before it is whole.
        ModelError: There is no usable checkpoint to resume from.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as e:
        raise OutputError(f"{out}: cannot be made as a folder for the run ({e.strerror or e})") from e
    if config.threads:
        torch.set_num_threads(config.threads)
    run = _Run(task, config, out, torch.device(device))
    if resume:
        run.resume()
    else:
        run.evaluate()
    run.network.train()
    try:
        _loop(run, report)
    except KeyboardInterrupt:
        run.save()
        raise
    run.save()
    return run.history


def _loop(run: _Run, report: Callable[[Report], None]) -> None:
    config, bad, recent = run.config, 0, []
    began, first = time.monotonic(), run.step
    for batch in _batches(run.task, config, run.step):
        loss, parts = run.take_step(batch)
        bad = bad + 1 if math.isnan(loss) else 0
        if bad >= MAX_BAD_STEPS:
            raise TrainingError(
                f"{run.out}: the loss was not a number {bad} steps in a row, last at step {run.step}; "
                f"the state of an earlier step is kept: lower learning_rate and go on with --resume"
            )
        recent = [*recent, loss][-50:] if not bad else recent
        mean = sum(recent) / max(len(recent), 1)
        if run.step % 10 == 0:
            run.history["loss"].append({"step": float(run.step), "loss": mean})
        rate = (run.step - first) / max(time.monotonic() - began, 1e-9)
        line = Report(run.step, config.steps, mean, parts, rate, (config.steps - run.step) / max(rate, 1e-9))
        if run.step % config.evaluate_every == 0 or run.step == config.steps:
            line.metrics, line.best = run.evaluate()
        report(line)
        if run.step % config.checkpoint_every == 0:
            run.save()
        if config.patience and run.since_best >= config.patience:
            return
