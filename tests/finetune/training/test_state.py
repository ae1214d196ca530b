"""What a run goes on from."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import pytest
from helpers.extras import reason
from helpers.train_configs import train_config

torch = pytest.importorskip("torch", reason=reason("torch", "finetune"))

from edge_lpr.errors import ModelError, OutputError  # noqa: E402
from edge_lpr.finetune.training.state import RunState, load_state, save_state  # noqa: E402

CONFIG = train_config("rec", steps=8)


@pytest.fixture
def state() -> RunState:
    network = torch.nn.Linear(2, 1)
    optimizer = torch.optim.Adam(network.parameters())
    network(torch.ones(1, 2)).sum().backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    return RunState(
        config=dict(CONFIG.effective),
        steps=CONFIG.steps,
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
    free = {"workers": 4, "patience": 2, "evaluate_every": 1, "threads": 3, "checkpoint_every": 7}
    load_state(tmp_path / "latest.state", train_config("rec", steps=8, **free))
    told = "started with EdgeLPR.steps_per_epoch = 8, the config says 9; set it back"
    with pytest.raises(ModelError, match=told):
        load_state(tmp_path / "latest.state", train_config("rec", steps=9))
    # As long as before, by the labelled images that there are now, and not by those that there were then.
    by_labels = train_config("rec", steps=0)
    save_state(tmp_path / "latest.state", replace(state, config=dict(by_labels.effective), steps=2))
    load_state(tmp_path / "latest.state", by_labels.sized(128))
    with pytest.raises(ModelError, match="started with the number of steps = 2, the config says 3"):
        load_state(tmp_path / "latest.state", by_labels.sized(129))
    save_state(tmp_path / "latest.state", state)
    without = train_config("rec", steps=8, **{"Train.dataset.transforms.RecAug": False})
    with pytest.raises(ModelError, match=r"RecAug\.tia_prob = 0\.4, the config says None"):
        load_state(tmp_path / "latest.state", without)


def test_a_state_that_lacks_a_part(tmp_path: Path, state: RunState) -> None:
    raw = {f.name: getattr(state, f.name) for f in fields(RunState) if f.name != "recent"}
    torch.save(raw, tmp_path / "latest.state")
    with pytest.raises(ModelError, match=r"damaged \('recent'\)"):
        load_state(tmp_path / "latest.state", CONFIG)


def test_a_state_that_cannot_be_written(tmp_path: Path, state: RunState) -> None:
    with pytest.raises(OutputError, match=r"latest\.state: cannot be written"):
        save_state(tmp_path / "no" / "latest.state", state)
