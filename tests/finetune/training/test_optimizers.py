"""Learning rates and steps as PaddleOCR and PaddlePaddle have them, by `golden/make_schedules.py`."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.extras import reason
from helpers.ppocr_configs import REC

torch = pytest.importorskip("torch", reason=reason("torch", "finetune"))
pytest.importorskip("yaml", reason=reason("yaml", "finetune"))

from torch import nn  # noqa: E402

from edge_lpr.architectures.registry import ARCHITECTURES  # noqa: E402
from edge_lpr.architectures.torch_builder import TorchNetwork, build  # noqa: E402
from edge_lpr.finetune.recipe.config import read_config  # noqa: E402
from edge_lpr.finetune.recipe.document import parse_document  # noqa: E402
from edge_lpr.finetune.recipe.networks import describe, read_network  # noqa: E402
from edge_lpr.finetune.recipe.node import Node, Told  # noqa: E402
from edge_lpr.finetune.recipe.optimizing import OptimizerSettings, read_optimizer  # noqa: E402
from edge_lpr.finetune.training.layerwise import network_optimizer  # noqa: E402
from edge_lpr.finetune.training.optimizers import (  # noqa: E402
    build_optimizer,
    build_schedule,
    clip_gradients,
    regularize,
)

NETWORKS = json.loads((Path(__file__).parents[2] / "golden" / "paddleocr_networks.json").read_bytes())
GOLDEN = json.loads((Path(__file__).parents[2] / "golden" / "paddle_schedules.json").read_text())


def read(**section: Any) -> OptimizerSettings:
    return read_optimizer(Node(section, "Optimizer", Told()))


def schedule_of(one: dict[str, Any]) -> tuple[Any, Any]:
    settings = read(name="Momentum", momentum=0.0, lr=one["lr"])
    optimizer = build_optimizer(nn.Linear(1, 1), settings)
    return optimizer, build_schedule(optimizer, settings.schedule, one["epochs"], one["epoch_steps"])


@pytest.mark.parametrize("one", GOLDEN["schedules"], ids=lambda one: "-".join(map(str, one["lr"].values())))
def test_the_learning_rate_is_that_of_paddleocr_at_every_step(one: dict[str, Any]) -> None:
    optimizer, schedule = schedule_of(one)
    rates = []
    for step in range(len(one["rates"])):
        if step == 7:  # a resumed run goes on from what was saved
            buffer = io.BytesIO()
            torch.save((optimizer.state_dict(), schedule.state_dict()), buffer)
            buffer.seek(0)
            saved = torch.load(buffer, weights_only=True)
            optimizer, schedule = schedule_of(one)
            for part, state in zip((optimizer, schedule), saved, strict=True):
                part.load_state_dict(state)
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert rates == pytest.approx(one["rates"], rel=1e-9, abs=1e-15)


@pytest.mark.parametrize(
    "one", GOLDEN["optimizers"], ids=lambda one: "-".join(map(str, one["optimizer"].values()))
)
def test_steps_are_those_of_paddlepaddle(one: dict[str, Any]) -> None:
    settings = read(**one["optimizer"], lr={"name": "Const", "learning_rate": 0.1})
    network = nn.Module()
    for i, start in enumerate(one["starts"]):
        network.register_parameter(str(i), nn.Parameter(torch.tensor(start)))
    optimizer = build_optimizer(network, settings)
    for gradients, values in zip(one["gradients"], one["values"], strict=True):
        for parameter, gradient in zip(network.parameters(), gradients, strict=True):
            parameter.grad = torch.tensor(gradient)
        assert clip_gradients(network, settings)
        regularize(optimizer)
        optimizer.step()
        for parameter, value in zip(network.parameters(), values, strict=True):
            # RMSProp's epsilon is elsewhere; it does not show where gradients are larger.
            tolerance = 0.01 if settings.name == "RMSProp" else 2e-6
            assert np.allclose(parameter.detach().numpy(), value, atol=tolerance)


def test_layers_that_paddleocr_regularizes_otherwise() -> None:
    config = read_config(parse_document(REC, "rec.yml"), "rec", "rec.yml")
    network = TorchNetwork(config.architecture(), 9)
    names = {id(parameter): name for name, parameter in network.named_parameters()}

    def groups(changed: OptimizerSettings) -> dict[str, tuple[float, float]]:
        made = network_optimizer(network, replace(config, optimizer=changed)).param_groups
        return {names[id(p)]: (g["weight_decay"], g["l1"]) for g in made for p in g["params"]}

    settings = config.optimizer
    told = groups(settings)
    assert told["backbone.conv1._conv.weight"] == (3e-5, 0)
    assert told["backbone.conv1._batch_norm.weight"] == (0, 0)
    assert told["head.ctc_encoder.encoder.norm.bias"] == (3e-5, 0)
    assert told["head.ctc_head.fc.weight"] == told["head.ctc_head.fc.bias"] == (1e-5, 0)
    # The head's own is L2 whatever the others have.
    without = replace(settings, factor=0.0)
    for other, factors in ((replace(settings, regularizer="L1"), (0, 3e-5)), (without, (0, 0))):
        told = groups(other)
        assert (told["backbone.conv1._conv.weight"], told["head.ctc_head.fc.weight"]) == (factors, (1e-5, 0))
    told = groups(replace(settings, one_dim_param_no_weight_decay=True))
    assert {factors for name, factors in told.items() if network.get_parameter(name).ndim == 1} == {(0, 0)}
    told = groups(replace(settings, name="AdamW", no_weight_decay_name=("norm",)))
    assert {factors for name, factors in told.items() if "norm" in name} == {(0, 0)}


@pytest.mark.parametrize("name", [n for n in NETWORKS if "v5" not in n and describe(n)])
def test_layers_that_paddleocr_gives_a_learning_rate_or_a_regularizer_of_their_own(name: str) -> None:
    config = read_config(parse_document(REC, "rec.yml"), "rec", "rec.yml")
    part = ARCHITECTURES[name].part
    section = read_network(Node(describe(name), "Architecture", Told()), part)
    with torch.device("meta"):
        network = build(ARCHITECTURES[name].network(9, True))
    optimizer = network_optimizer(network, replace(config, network=section))
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    ours = {
        names[id(p)]: (group["lr"] / config.optimizer.schedule.learning_rate, group["weight_decay"])
        for group in optimizer.param_groups
        for p in group["params"]
    }
    theirs = {}
    for parameter, told in NETWORKS[name].items():
        own = dict(one.split("=") for one in told.split()[2:])
        theirs[parameter] = float(own.get("rate", 1)), float(own.get("decay", config.optimizer.factor))
    assert ours == {parameter: pytest.approx(theirs[parameter]) for parameter in ours}


def test_every_schedule_keeps_a_layers_share_of_the_learning_rate() -> None:
    shares = {"weight": 1.0, "bias": 0.1}
    cosine: dict[str, Any] = {"name": "Cosine", "learning_rate": 0.001, "warmup_epoch": 1}
    for lr, end in [(cosine, 0.0001), *((one["lr"], 0.0) for one in GOLDEN["schedules"])]:
        settings = read(name="Adam", lr=lr)
        optimizer = build_optimizer(nn.Linear(1, 1), settings, rates=shares.__getitem__)
        schedule = build_schedule(optimizer, settings.schedule, 3, 4, end)
        for _ in range(12):
            full, tenth = (group["lr"] for group in optimizer.param_groups)
            assert tenth == pytest.approx(full / 10)
            optimizer.step()
            schedule.step()
