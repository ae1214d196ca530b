"""What a run goes on from."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest
from helpers.extras import reason

torch = pytest.importorskip("torch", reason=reason("torch", "finetune"))

from edge_lpr.errors import ModelError, OutputError  # noqa: E402
from edge_lpr.finetune.training.config import TrainConfig  # noqa: E402
from edge_lpr.finetune.training.state import RunState, load_state, save_state  # noqa: E402

CONFIG = TrainConfig("rec", steps=8)


@pytest.fixture
def state() -> RunState:
    network = torch.nn.Linear(2, 1)
    optimizer = torch.optim.Adam(network.parameters())
    network(torch.ones(1, 2)).sum().backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    return RunState(
        config=CONFIG.to_json(),
        step=3,
        best=0.5,
        since_best=1,
        network=network.state_dict(),
        average=network.state_dict(),
        optimizer=optimizer.state_dict(),
        schedule={"last_epoch": 3},
        recent=[1.5, 0.75],
        history={"loss": [], "metrics": [{"step": 0.0, "accuracy": 0.5}]},
    )


def test_a_state_comes_back_bit_for_bit(tmp_path: Path, state: RunState) -> None:
    save_state(tmp_path / "latest.state", state)
    found = load_state(tmp_path / "latest.state", CONFIG)
    for name in ("network", "average"):
        for key, value in getattr(state, name).items():
            assert torch.equal(getattr(found, name)[key], value)
    moments = state.optimizer["state"][0]
    assert torch.equal(found.optimizer["state"][0]["exp_avg"], moments["exp_avg"])
    plain = {f.name for f in fields(RunState)} - {"network", "average", "optimizer"}
    assert {n: getattr(found, n) for n in plain} == {n: getattr(state, n) for n in plain}


def test_what_decides_nothing_may_change(tmp_path: Path, state: RunState) -> None:
    save_state(tmp_path / "latest.state", state)
    load_state(
        tmp_path / "latest.state", TrainConfig("rec", steps=8, workers=4, patience=2, evaluate_every=1)
    )
    with pytest.raises(ModelError, match="started with steps = 8, the config says 9; set it back"):
        load_state(tmp_path / "latest.state", TrainConfig("rec", steps=9))


def test_a_state_that_lacks_a_part(tmp_path: Path, state: RunState) -> None:
    raw = {f.name: getattr(state, f.name) for f in fields(RunState) if f.name != "recent"}
    torch.save(raw, tmp_path / "latest.state")
    with pytest.raises(ModelError, match=r"damaged \('recent'\)"):
        load_state(tmp_path / "latest.state", CONFIG)


def test_a_state_that_cannot_be_written(tmp_path: Path, state: RunState) -> None:
    with pytest.raises(OutputError, match=r"latest\.state: cannot be written"):
        save_state(tmp_path / "no" / "latest.state", state)
