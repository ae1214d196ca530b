"""Makes `paddle_schedules.json`: PaddleOCR's learning rates, and the steps of PaddlePaddle's optimizers.

    pip download --no-deps unstructured-paddleocr==2.10.0
    python tests/golden/make_schedules.py unstructured_paddleocr-2.10.0-py3-none-any.whl

Runs its `ppocr/optimizer/learning_rate.py` and `paddle.optimizer`; the extra `export` has PaddlePaddle.
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import paddle
from own_paddleocr import use

OUT = Path(__file__).with_name("paddle_schedules.json")

SCHEDULES: list[dict[str, Any]] = [
    {"name": "Const", "learning_rate": 0.001},
    {"name": "Linear", "learning_rate": 0.001},
    {"name": "Linear", "learning_rate": 0.001, "end_lr": 0.0002, "power": 2.0},
    {"name": "Cosine", "learning_rate": 0.001},
    {"name": "CyclicalCosine", "learning_rate": 0.001, "cycle": 2},
    {"name": "Step", "learning_rate": 0.001, "step_size": 2, "gamma": 0.5},
    {"name": "MultiStepDecay", "learning_rate": 0.001, "milestones": [2, 3], "gamma": 0.1},
    {"name": "Piecewise", "decay_epochs": [2, 4], "values": [0.001, 0.0005, 0.0001]},
    {"name": "OneCycle", "max_lr": 0.001},
    {"name": "OneCycle", "max_lr": 0.001, "anneal_strategy": "linear", "three_phase": True},
    {"name": "TwoStepCosine", "learning_rate": 0.001},
    {"name": "DecayLearningRate", "learning_rate": 0.001},
]
OPTIMIZERS: list[dict[str, Any]] = [
    {"name": "Momentum", "momentum": 0.9, "regularizer": {"name": "L2", "factor": 0.01}},
    {"name": "Momentum", "momentum": 0.9, "regularizer": {"name": "L1", "factor": 0.01}},
    {"name": "Adam", "regularizer": {"name": "L2", "factor": 0.01}},
    {"name": "Adam", "epsilon": 0.01, "clip_norm": 0.5, "regularizer": {"name": "L2", "factor": 0.01}},
    {"name": "Adam", "clip_norm_global": 0.5},
    {"name": "AdamW", "regularizer": {"name": "L2", "factor": 0.05}},
    {"name": "RMSProp", "rho": 0.9},
    {"name": "Adadelta", "rho": 0.9, "epsilon": 1e-6},
]
SIZES = (3, 2)


def rates() -> list[dict[str, Any]]:
    """Learning rates as a run asks for them: before each step; six epochs of four steps, 202 for the last."""
    module = importlib.import_module("ppocr.optimizer.learning_rate")
    told = []
    for settings in SCHEDULES:
        for warmup in (0, 1.5):
            if warmup and settings["name"] == "DecayLearningRate":
                continue
            given = {**settings, **({"warmup_epoch": warmup} if warmup else {})}
            epochs, steps = (202, 1) if settings["name"] == "TwoStepCosine" else (6, 4)
            keys = {name: value for name, value in given.items() if name != "name"}
            made = getattr(module, given["name"])(**keys, epochs=epochs, step_each_epoch=steps)()
            values = []
            for _ in range(epochs * steps):
                values.append(made if isinstance(made, float) else made())
                if not isinstance(made, float):
                    made.step()
            told.append({"lr": given, "epochs": epochs, "epoch_steps": steps, "rates": values})
    return told


def steps() -> list[dict[str, Any]]:
    """Two parameters after each of five steps along given gradients."""
    told = []
    for settings in OPTIMIZERS:
        rng = np.random.default_rng(3)
        starts = [rng.normal(0, 1, size).astype(np.float32) for size in SIZES]
        gradients = [[rng.normal(0, 1, size).astype(np.float32) for size in SIZES] for _ in range(5)]
        parameters = [paddle.create_parameter((size,), "float32") for size in SIZES]
        for parameter, start in zip(parameters, starts, strict=True):
            parameter.set_value(start)
        given = dict(settings)
        name, regularizer = given.pop("name"), given.pop("regularizer", None)
        decay: Any = None if regularizer is None else regularizer["factor"]
        if regularizer and regularizer["name"] == "L1":
            decay = paddle.regularizer.L1Decay(decay)
        clip: Any = None
        if "clip_norm" in given:
            clip = paddle.nn.ClipGradByNorm(given.pop("clip_norm"))
        elif "clip_norm_global" in given:
            clip = paddle.nn.ClipGradByGlobalNorm(given.pop("clip_norm_global"))
        optimizer = getattr(paddle.optimizer, name)(
            learning_rate=0.1, parameters=parameters, weight_decay=decay, grad_clip=clip, **given
        )
        values = []
        for step in gradients:
            loss = sum((p * paddle.to_tensor(g)).sum() for p, g in zip(parameters, step, strict=True))
            loss.backward()
            optimizer.step()
            optimizer.clear_grad()
            values.append([p.numpy().tolist() for p in parameters])
        told.append(
            {
                "optimizer": settings,
                "starts": [start.tolist() for start in starts],
                "gradients": [[g.tolist() for g in step] for step in gradients],
                "values": values,
            }
        )
    return told


def main() -> None:
    """Writes the file."""
    use(sys.argv[1])
    told = {"schedules": rates(), "optimizers": steps()}
    OUT.write_text(json.dumps(told, separators=(",", ":")) + "\n")
    print(f"{OUT}: {OUT.stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
