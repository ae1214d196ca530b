"""The training loop that both fine-tunings share.

A run is a pure function of its config and its start: batch `i` is made from seed and `i` alone, dropout is
seeded per step, and a checkpoint holds weights, their average, optimizer, schedule and step. So a run that
was stopped and resumed takes the same steps as one that was not.
"""

from __future__ import annotations

import atexit
import json
import math
import os
import signal
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import cv2
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel
from torch.utils.data import DataLoader, Dataset

from edge_lpr.architectures.pdparams import save_checkpoint
from edge_lpr.architectures.torch_builder import weights_of
from edge_lpr.console.interrupts import Interrupts
from edge_lpr.errors import EdgeLprError, TrainingError
from edge_lpr.finetune.recipe.config import TrainConfig
from edge_lpr.finetune.training.layerwise import network_optimizer
from edge_lpr.finetune.training.optimizers import build_schedule, clip_gradients, regularize
from edge_lpr.finetune.training.state import RunState, load_state, save_state
from edge_lpr.io.atomic_io import create_folder, write_bytes

__all__ = ["StepReport", "TrainingTask", "averaged", "train"]

Batch = TypeVar("Batch")

STATE = "latest.state"
BEST = "best.pdparams"
LATEST = "latest.pdparams"
HISTORY = "history.json"
# A single step can go astray; more in a row than this and the run does not recover.
MAX_BAD_STEPS = 5
# The loss that is shown is the mean of this many steps.
SHOWN_MEAN = 50


class TrainingTask(Protocol[Batch]):
    """What is trained: a network, its batches, its loss and its metric.

    Attributes:
        network: The network.
        metric: Which one of what `evaluate` returns decides.
        new_norms: The network's batch norms that have no statistics from a training yet, by name: with these
            frozen, ReLUs behind them die.
    """

    network: nn.Module
    metric: str
    new_norms: Collection[str]

    def batch(self, step: int) -> Batch:
        """Makes the batch of one step; the same for the same step, in any process.

        Worker processes get a pickled copy of the task, which need not hold the network.
        """

    def loss(self, network: nn.Module, batch: Batch) -> tuple[Tensor, dict[str, float]]:
        """Returns the loss of a batch and what it consists of."""

    def evaluate(self, network: nn.Module) -> dict[str, float]:
        """Returns metrics of a network in evaluation mode, `metric` among them; larger is better."""


@dataclass
class StepReport:
    """What the loop tells while it runs.

    Attributes:
        step: Steps done.
        steps: Steps of the whole run.
        loss: Mean over the last steps; NaN before the first.
        parts: Parts of the loss, at the last step.
        rate: Steps per second.
        remaining: Seconds left at this rate; NaN before the first step.
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


class _Steps(Dataset[Batch | EdgeLprError], Generic[Batch]):
    def __init__(self, task: TrainingTask[Batch]) -> None:
        self.task = task

    def __getitem__(self, step: int) -> Batch | EdgeLprError:
        # Raised in a worker, an error would reach the run as the text of a traceback.
        try:
            return self.task.batch(step)
        except EdgeLprError as e:
            return e


def _set_up_worker(_worker: int) -> None:
    # Ctrl-C reaches all processes of a terminal; the run itself ends its workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    # The thread that sends batches may be in the midst of one when a run ends: Python would unwind it through
    # PyTorch's C++, which aborts with a line on the terminal. What it sends nobody waits for.
    atexit.register(os._exit, 0)


def _batches(task: TrainingTask[Batch], config: TrainConfig, start: int) -> Iterator[Batch]:
    steps: _Steps[Batch] = _Steps(task)
    workers = config.data.workers
    loader: DataLoader[Batch | EdgeLprError] = DataLoader(
        steps,
        batch_size=None,
        sampler=range(start, config.steps),
        num_workers=workers,
        prefetch_factor=3 if workers else None,
        worker_init_fn=_set_up_worker,
        # A forked process would inherit OpenCV's thread pool without its threads, and wait for them forever.
        multiprocessing_context="spawn" if workers else None,
    )
    child, on_main = getattr(signal, "SIGCHLD", None), threading.current_thread() is threading.main_thread()
    before = signal.getsignal(child) if child else None
    batches = iter(loader)
    if child and on_main:
        # PyTorch's handler raises wherever the run happens to be when a worker dies, in the midst of a
        # checkpoint too. Without it the loader finds out by itself, within seconds.
        signal.signal(child, before)
    try:
        for batch in batches:
            if isinstance(batch, EdgeLprError):
                raise batch
            yield batch
    except (RuntimeError, OSError, EOFError) as e:
        # PyTorch's ways to miss a worker: it finds it gone, or cannot fetch a batch that it announced. What
        # goes wrong inside of a worker comes with the worker's traceback.
        if not workers or "in DataLoader worker process" in str(e):
            raise
        raise TrainingError(
            "a process that makes batches was ended from outside, often for lack of memory: "
            f"set Train.loader.num_workers ({workers}) lower and go on with --resume"
        ) from e


def _train_mode(network: nn.Module, freeze_batch_norm: bool, new: Collection[str]) -> None:
    network.train()
    if freeze_batch_norm:
        for name, module in network.named_modules():
            if isinstance(module, nn.BatchNorm2d) and name not in new:
                module.eval()


def averaged(network: nn.Module, decay: float) -> AveragedModel:
    """Keeps an exponential moving average of weights and statistics, which begins as the network itself.

    Its memory is short at first, so that it does not drag the start along: after n steps it keeps
    n / (n + 9) of what it was, `decay` at most.
    """

    @torch.no_grad()
    def move(kept: Sequence[Tensor], new: Sequence[Tensor], count: Tensor | int) -> None:
        weight = 1.0 - min(decay, float(count) / (9.0 + float(count)))
        for old, value in zip(kept, new, strict=True):
            if old.dtype.is_floating_point:
                old.lerp_(value, weight)
            else:
                old.copy_(value)

    average = AveragedModel(network, multi_avg_fn=move, use_buffers=True).eval()
    average.update_parameters(network)  # the first one only copies
    return average


class _Run(Generic[Batch]):
    """One training run: its state, and where it is kept."""

    def __init__(
        self, task: TrainingTask[Batch], config: TrainConfig, out: Path, device: torch.device
    ) -> None:
        self.task, self.config, self.out, self.device = task, config, out, device
        # PyTorch's stubs know the keyword of tensors alone.
        self.network = task.network.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = averaged(self.network, config.own.ema)
        self.optimizer = network_optimizer(self.network, config)
        rate, final = config.optimizer.schedule, config.own.final_learning_rate
        self.schedule = build_schedule(self.optimizer, rate, config.epochs, config.epoch_steps, final)
        self.step = 0
        self.best = -math.inf
        self.since_best = 0
        self.recent: list[float] = []
        self.history: dict[str, list[dict[str, float]]] = {"loss": [], "metrics": []}

    def save(self) -> None:
        state = RunState(
            config=dict(self.config.effective),
            steps=self.config.steps,
            step=self.step,
            best=self.best,
            since_best=self.since_best,
            network=self.network.state_dict(),
            average=self.average.state_dict(),
            optimizer=self.optimizer.state_dict(),
            schedule=self.schedule.state_dict(),
            recent=self.recent,
            history=self.history,
        )
        save_state(self.out / STATE, state)
        save_checkpoint(self.out / LATEST, weights_of(self.average.module))
        # By hand: a metric may be infinite or no number, which `write_json` refuses.
        write_bytes(self.out / HISTORY, json.dumps(self.history).encode())

    def resume(self) -> None:
        state = load_state(self.out / STATE, self.config)
        self.network.load_state_dict(state.network)
        self.average.load_state_dict(state.average)
        self.optimizer.load_state_dict(state.optimizer)
        self.schedule.load_state_dict(state.schedule)
        self.step, self.best, self.since_best = state.step, state.best, state.since_best
        self.recent, self.history = state.recent, state.history

    def is_done(self) -> bool:
        """Whether the metric has not grown for so long that the run ends before its last step."""
        return bool(self.config.own.patience) and self.since_best >= self.config.own.patience

    def take_step(self, batch: Batch) -> tuple[float, dict[str, float]]:
        """Takes one optimizer step; gives NaN and changes no weight where loss or gradient are not finite."""
        config = self.config
        torch.manual_seed((config.seed * 1_000_003 + self.step) % 2**63)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=config.precision == "bfloat16"):
            loss, parts = self.task.loss(self.network, batch)
        self.optimizer.zero_grad(set_to_none=True)
        finite = bool(torch.isfinite(loss))
        if finite:
            loss.backward()  # type: ignore[no-untyped-call]
            finite = clip_gradients(self.network, config.optimizer)
        if finite:
            regularize(self.optimizer)
        else:
            self.optimizer.zero_grad(set_to_none=True)  # a step without gradients changes nothing
            self._mend_statistics()
        self.optimizer.step()
        self.schedule.step()
        if finite:
            self.average.update_parameters(self.network)
        self.step += 1
        return (float(loss.detach()) if finite else math.nan), parts

    @torch.no_grad()
    def _mend_statistics(self) -> None:
        """Puts the averaged ones in the place of batch norms' statistics that a step left not finite.

        A running mean never forgets a NaN, and the averaged weights, which are measured and kept, would take
        it over with the next good step.
        """
        for found, kept in zip(self.network.buffers(), self.average.module.buffers(), strict=True):
            if not bool(torch.isfinite(found).all()):
                found.copy_(kept)

    def evaluate(self) -> tuple[dict[str, float], bool]:
        metrics = self.task.evaluate(self.average.module)
        self.history["metrics"].append({"step": float(self.step), **metrics})
        better = metrics[self.task.metric] > self.best
        if better:
            self.best, self.since_best = metrics[self.task.metric], 0
            save_checkpoint(self.out / BEST, weights_of(self.average.module))
        else:
            self.since_best += 1
        return metrics, better


def train(
    task: TrainingTask[Batch],
    config: TrainConfig,
    out: Path,
    *,
    resume: bool = False,
    report: Callable[[StepReport], None] = lambda _: None,
    device: str = "cpu",
) -> dict[str, list[dict[str, float]]]:
    """Trains until the last step, or until the metric has not grown for `patience` evaluations.

    Args:
        task: What to train; its network holds the start's weights and is changed in place.
        config: The run's settings.
        out: Folder for `best.pdparams`, `latest.pdparams` (averaged weights under PaddleOCR's names),
            `latest.state` and `history.json`; made if missing.
        resume: Go on from `latest.state` in `out`.
        report: Called after every step, and before the first with what the start's weights measure.
        device: PyTorch's name of the device.

    Returns:
        The history: lists of {"step", "loss"} and of {"step", metrics…}.

    Raises:
        TrainingError: Loss or gradient were not finite several steps in a row, or the memory of the device or
            of a worker did not suffice; the state is saved.
        InputError: Labelled images cannot be read; the state is saved.
        KeyboardInterrupt: After Ctrl-C or SIGTERM, at the end of a step; the state is saved.
        OutputError: A checkpoint could not be written; the one before it is whole.
        ModelError: There is no usable checkpoint to resume from.
    """
    create_folder(out)
    if config.own.threads:
        torch.set_num_threads(config.own.threads)
    run = _Run(task, config, out, torch.device(device))
    if resume:
        run.resume()
    else:
        metrics, best = run.evaluate()
        run.save()  # from here on the run can be gone on with, whatever ends it
        report(StepReport(0, config.steps, math.nan, {}, 0.0, math.nan, metrics, best))
    _train_mode(run.network, config.own.freeze_batch_norm, task.new_norms)
    with Interrupts() as interrupts, interrupts.held(patient=False):
        try:
            _loop(run, report, interrupts)
        except torch.OutOfMemoryError as e:
            raise TrainingError(
                f"{device} has too little memory for a step of {config.data.batch} images of "
                f"{config.data.width}x{config.data.height}: set Train.loader.batch_size_per_card lower"
            ) from e
        finally:
            run.save()
    return run.history


def _loop(run: _Run[Batch], report: Callable[[StepReport], None], interrupts: Interrupts) -> None:
    config, bad = run.config, 0
    if run.is_done():
        return
    began, first = time.monotonic(), run.step
    for batch in _batches(run.task, config, run.step):
        interrupts.check()
        loss, parts = run.take_step(batch)
        bad = bad + 1 if math.isnan(loss) else 0
        if bad >= MAX_BAD_STEPS:
            raise TrainingError(
                f"{run.out}: the loss was not a number {bad} steps in a row, last at step {run.step}; "
                f"the best weights before are in {BEST}: start from them with a lower learning_rate"
            )
        if not bad:
            run.recent = [*run.recent, loss][-SHOWN_MEAN:]
        mean = sum(run.recent) / max(len(run.recent), 1)
        if run.step % 10 == 0:
            run.history["loss"].append({"step": float(run.step), "loss": mean})
        rate = (run.step - first) / max(time.monotonic() - began, 1e-9)
        line = StepReport(
            run.step, config.steps, mean, parts, rate, (config.steps - run.step) / max(rate, 1e-9)
        )
        if config.is_measured(run.step):
            line.metrics, line.best = run.evaluate()
        report(line)
        if run.step % config.own.checkpoint_every == 0:
            run.save()
        if run.is_done():
            return
