"""The loop, on a network of two weights: a step of it takes no time."""

from __future__ import annotations

import json
import math
import os
import pickle
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.extras import reason
from helpers.train_configs import train_config

torch = pytest.importorskip("torch", reason=reason("torch", "finetune"))

from torch import nn  # noqa: E402

from edge_lpr.architectures.pdparams import load_checkpoint  # noqa: E402
from edge_lpr.console.interrupts import Terminated  # noqa: E402
from edge_lpr.errors import InputError, ModelError, OutputError, TrainingError  # noqa: E402
from edge_lpr.finetune.recipe.config import TrainConfig  # noqa: E402
from edge_lpr.finetune.training.optimizers import build_optimizer, build_schedule  # noqa: E402
from edge_lpr.finetune.training.trainer import StepReport, averaged, train  # noqa: E402


class Line:
    """Learns y = 3x from noisy points; dropout, so that the random state matters."""

    metric = "score"

    def __init__(self, nan_from: int | None = None, new_norms: tuple[str, ...] = ()) -> None:
        torch.manual_seed(0)
        self.new_norms = new_norms
        self.network: nn.Module = nn.Sequential(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1), nn.Dropout(0.2))
        self.nan_from = nan_from

    def batch(self, step: int) -> torch.Tensor:
        rng = np.random.default_rng(step)
        batch = torch.from_numpy(rng.normal(0, 1, (8, 1, 2, 2)).astype(np.float32))
        return batch * float("nan") if self.nan_from is not None and step >= self.nan_from else batch

    def loss(self, network: nn.Module, batch: torch.Tensor) -> tuple[torch.Tensor, dict[str, float]]:
        return (network(batch) - 3 * batch).square().mean(), {}

    @torch.no_grad()
    def evaluate(self, network: nn.Module) -> dict[str, float]:
        assert not network.training
        batch = self.batch(10_000_000) if self.nan_from is None else torch.ones(1, 1, 1, 1)
        return {"score": -float((network(batch) - 3 * batch).square().mean())}


def config(**changes: object) -> TrainConfig:
    settings = {"steps": 30, "evaluate_every": 10, "checkpoint_every": 10, "learning_rate": 0.05, "ema": 0.8}
    return train_config("rec", **(settings | changes))


def weights(path: Path) -> dict[str, np.ndarray]:
    return load_checkpoint(path)


def test_it_learns_and_keeps_the_best(tmp_path: Path) -> None:
    history = train(Line(), config(steps=150, freeze_batch_norm=False), tmp_path)
    scores = [row["score"] for row in history["metrics"]]
    assert scores[-1] > scores[0] + 1
    assert history["metrics"][0]["step"] == 0
    assert json.loads((tmp_path / "history.json").read_text()) == history
    assert set(weights(tmp_path / "best.pdparams")) == {
        "0.weight",
        "0.bias",
        "1.weight",
        "1.bias",
        "1._mean",
        "1._variance",
    }


def test_a_stopped_run_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    train(Line(), config(), tmp_path / "whole")

    def stop(report: StepReport) -> None:
        if report.step == 17:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        train(Line(), config(), tmp_path / "parts", report=stop)
    seen: list[int] = []
    train(Line(), config(), tmp_path / "parts", resume=True, report=lambda r: seen.append(r.step))
    assert seen[0] == 18
    whole, parts = (weights(tmp_path / d / "latest.pdparams") for d in ("whole", "parts"))
    assert all(np.array_equal(whole[name], parts[name]) for name in whole)
    assert (tmp_path / "whole" / "history.json").read_text() == (
        tmp_path / "parts" / "history.json"
    ).read_text()


def test_workers_make_the_same_batches(tmp_path: Path) -> None:
    train(Line(), config(steps=6), tmp_path / "here")
    train(Line(), config(steps=6, workers=1), tmp_path / "there")
    here, there = (weights(tmp_path / d / "latest.pdparams") for d in ("here", "there"))
    assert all(np.array_equal(here[name], there[name]) for name in here)


def test_frozen_batch_norms_keep_their_statistics(tmp_path: Path) -> None:
    train(Line(), config(steps=5), tmp_path / "frozen")
    train(Line(), config(steps=5, freeze_batch_norm=False), tmp_path / "free")
    assert weights(tmp_path / "frozen" / "latest.pdparams")["1._mean"] == 0
    assert weights(tmp_path / "free" / "latest.pdparams")["1._mean"] != 0


def test_new_batch_norms_have_none_to_keep(tmp_path: Path) -> None:
    train(Line(new_norms=("1",)), config(steps=5), tmp_path / "new")
    train(Line(), config(steps=5, freeze_batch_norm=False), tmp_path / "free")
    new, free = (weights(tmp_path / d / "latest.pdparams") for d in ("new", "free"))
    assert new["1._mean"] == free["1._mean"] != 0


def test_loss_that_is_not_a_number_ends_the_run_with_the_weights_before_it(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="not a number 5 steps in a row") as error:
        train(Line(nan_from=12), config(), tmp_path)
    assert "\n" not in str(error.value)
    assert all(np.isfinite(a).all() for a in weights(tmp_path / "latest.pdparams").values())


def test_a_single_step_that_goes_astray_leaves_no_trace_in_the_statistics(tmp_path: Path) -> None:
    class Once(Line):
        def batch(self, step: int) -> torch.Tensor:
            return super().batch(step) * (float("nan") if step == 3 else 1.0)

    history = train(Once(), config(freeze_batch_norm=False), tmp_path)
    assert all(math.isfinite(row["score"]) for row in history["metrics"])
    assert all(np.isfinite(a).all() for a in weights(tmp_path / "latest.pdparams").values())


class Unreadable(Line):
    def batch(self, step: int) -> torch.Tensor:
        if step == 3:
            raise InputError("no image can be read")
        return super().batch(step)


class Killed(Line):
    def batch(self, step: int) -> torch.Tensor:
        if step == 3:
            os._exit(9)
        return super().batch(step)


@pytest.mark.parametrize("workers", [0, 1])
def test_an_error_while_a_batch_is_made_stays_itself(tmp_path: Path, workers: int) -> None:
    with pytest.raises(InputError, match=r"^no image can be read$"):
        train(Unreadable(), config(workers=workers), tmp_path)
    assert all(np.isfinite(a).all() for a in weights(tmp_path / "latest.pdparams").values())


def test_a_worker_that_is_killed_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="was ended from outside, often for lack of memory") as error:
        train(Killed(), config(workers=1), tmp_path)
    assert "\n" not in str(error.value)
    assert (tmp_path / "latest.state").is_file()


class Bulky(Line):
    """Its batches take long to be sent, and a run that is interrupted ends in the midst of it."""

    def batch(self, step: int) -> Any:
        return super().batch(step), [torch.zeros(1) for _ in range(100)]

    def loss(self, network: nn.Module, batch: Any) -> tuple[torch.Tensor, dict[str, float]]:
        os.kill(os.getpid(), signal.SIGINT)
        return super().loss(network, batch[0])

    def evaluate(self, network: nn.Module) -> dict[str, float]:
        return {"score": 0.0}


def test_a_worker_that_is_sending_when_a_run_is_interrupted_leaves_in_silence(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(Bulky(), config(workers=1), tmp_path)
    assert capfd.readouterr().err == ""


def test_a_device_whose_memory_does_not_suffice_is_one_line(tmp_path: Path) -> None:
    def loss(*_: object) -> tuple[torch.Tensor, dict[str, float]]:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.\nSee documentation")

    task = Line()
    task.loss = loss  # type: ignore[method-assign]
    with pytest.raises(TrainingError, match="cpu has too little memory for a step of 64 images of 160x48"):
        train(task, config(), tmp_path)


def test_early_stop(tmp_path: Path) -> None:
    task = Line()
    task.evaluate = lambda _network: {"score": 0.0}  # type: ignore[method-assign]
    seen: list[int] = []
    train(task, config(steps=100, patience=3), tmp_path, report=lambda r: seen.append(r.step))
    # The evaluation before the first step is the best; the three at 10, 20 and 30 are no better.
    assert seen[-1] == 30
    # It has ended: gone on with, it takes no further step, unless it is told to be more patient.
    train(task, config(steps=100, patience=3), tmp_path, resume=True, report=lambda r: seen.append(r.step))
    assert seen[-1] == 30
    train(task, config(steps=100, patience=4), tmp_path, resume=True, report=lambda r: seen.append(r.step))
    assert seen[-1] == 40


def test_the_start_is_reported_and_can_be_gone_on_with(tmp_path: Path) -> None:
    first: list[StepReport] = []

    def stop(report: StepReport) -> None:
        first.append(report)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(Line(), config(steps=3), tmp_path, report=stop)
    (report,) = first
    assert (report.step, report.best, set(report.metrics)) == (0, True, {"score"})
    assert math.isnan(report.loss)
    assert (tmp_path / "latest.state").is_file()
    seen: list[int] = []
    train(Line(), config(steps=3), tmp_path, resume=True, report=lambda r: seen.append(r.step))
    assert seen == [1, 2, 3]


def test_a_full_disk_leaves_the_checkpoint_before_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(Line(), config(steps=10), tmp_path)
    before = (tmp_path / "latest.state").read_bytes()

    def full(_number: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match=r"latest\.state: cannot be written \(No space left on device\)"):
        train(Line(), config(steps=10), tmp_path, resume=True)
    assert (tmp_path / "latest.state").read_bytes() == before
    # What was written lies beside, as the message says.
    assert [path.suffix for path in tmp_path.glob(".*")] == [".part"]


def test_resuming_with_other_settings_is_refused(tmp_path: Path) -> None:
    train(Line(), config(steps=4), tmp_path)
    with pytest.raises(
        ModelError, match=r"started with Train.loader.batch_size_per_card = 64, the config says 32"
    ):
        train(Line(), config(steps=4, batch=32), tmp_path, resume=True)


def test_resuming_without_a_state(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no checkpoint to resume from"):
        train(Line(), config(), tmp_path, resume=True)


class Evil:
    def __reduce__(self) -> tuple[object, ...]:
        return os.system, ("touch evil",)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 half a file", pickle.dumps(Evil())])
def test_a_damaged_or_hostile_state_is_one_line(
    tmp_path: Path, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "latest.state").write_bytes(content)
    with pytest.raises(ModelError, match="not a checkpoint of this command") as error:
        train(Line(), config(), tmp_path, resume=True)
    assert "\n" not in str(error.value) and "PyTorch" not in str(error.value)
    assert not (tmp_path / "evil").exists()


def test_learning_rate_falls_along_half_a_cosine() -> None:
    settings = config(steps=100, learning_rate=0.1, final_learning_rate=0.02)
    optimizer = build_optimizer(Line().network, settings.optimizer)
    schedule = build_schedule(optimizer, settings.optimizer.schedule, 1, 100, 0.02)
    rates = []
    for _ in range(101):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert rates == pytest.approx([0.02 + 0.04 * (1 + math.cos(math.pi * i / 100)) for i in range(101)])
    assert rates[50] == pytest.approx(0.06)


def test_the_average_forgets_its_start_and_covers_statistics() -> None:
    network = Line().network
    average = averaged(network, 0.8)
    assert not average.module.training
    wanted = {name: value.clone() for name, value in network.state_dict().items()}
    for step in range(40):
        with torch.no_grad():
            for tensor in network.state_dict().values():
                tensor.add_(1)
        average.update_parameters(network)
        decay = min(0.8, (1 + step) / (10 + step))
        for name, value in network.state_dict().items():
            moved = wanted[name].lerp(value, 1 - decay) if value.is_floating_point() else value.clone()
            wanted[name] = moved
    found = average.module.state_dict()
    assert all(torch.allclose(found[name], value, rtol=1e-6) for name, value in wanted.items())
    assert int(found["1.num_batches_tracked"]) == 40


def test_a_second_signal_does_not_wait_for_the_step(tmp_path: Path) -> None:
    class Impatient(Line):
        def loss(self, network: nn.Module, batch: torch.Tensor) -> tuple[torch.Tensor, dict[str, float]]:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGTERM)
            raise AssertionError("went on")

    with pytest.raises(Terminated):
        train(Impatient(), config(), tmp_path)
    assert (tmp_path / "latest.state").is_file()
