from __future__ import annotations

import json
import pickle
from pathlib import Path

import cv2
import numpy as np
import pytest
from helpers.extras import reason
from helpers.train_configs import train_config

torch = pytest.importorskip("torch", reason=reason("torch", "finetune"))

from torch import nn  # noqa: E402

from edge_lpr.architectures.registry import ARCHITECTURES  # noqa: E402
from edge_lpr.architectures.torch_builder import TorchNetwork, weights_of  # noqa: E402
from edge_lpr.datasets.labels import load_labels  # noqa: E402
from edge_lpr.finetune.recipe.config import TrainConfig  # noqa: E402
from edge_lpr.finetune.synthesis.copy_paste import CopyPaste  # noqa: E402
from edge_lpr.finetune.synthesis.det_augment import EastRandomCropData, IaaAugment  # noqa: E402
from edge_lpr.finetune.synthesis.training_images import Photos, Scenes  # noqa: E402
from edge_lpr.finetune.training.det import DetTraining  # noqa: E402

POINTS = [[60, 40], [180, 40], [180, 78], [60, 78]]


@pytest.fixture(scope="module")
def weights() -> dict[str, np.ndarray]:
    torch.manual_seed(1)
    network = TorchNetwork(ARCHITECTURES["ch_PP-OCRv3_det"])
    return {n: a for n, a in weights_of(network).items() if not n.startswith("head.thresh.")}


def config(**changes: object) -> TrainConfig:
    return train_config("det", **({"batch": 2, "width": 128, "height": 96, "frozen_blocks": 0} | changes))


@pytest.fixture
def photos(tmp_path: Path) -> Photos:
    image = np.random.default_rng(0).integers(0, 255, (120, 240, 3), np.uint8)
    image[40:78, 60:180] = (180, 80, 20)
    cv2.imwrite(str(tmp_path / "a.png"), image)
    label = [{"transcription": "皖A12345", "points": POINTS}]
    (tmp_path / "det.txt").write_text(f"a.png\t{json.dumps(label)}", encoding="utf-8")
    return Photos(load_labels([tmp_path]).samples)


class Perfect(nn.Module):
    """Finds the label of the only image."""

    def __init__(self) -> None:
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(1))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        height, width = images.shape[1:3]
        shrunk = np.zeros((height, width), np.float32)
        scale = np.array([width / 240, height / 120])
        inner = np.array([[72, 52], [168, 52], [168, 66], [72, 66]]) * scale
        cv2.fillPoly(shrunk, [inner.astype(np.int32)], 1.0)
        return torch.from_numpy(shrunk)[None, None]


def test_the_threshold_branch_begins_at_one_half(weights: dict[str, np.ndarray]) -> None:
    task = DetTraining(config(), weights, "x", scene=Scenes())
    maps = task.network.train()(torch.zeros(1, 96, 128, 3, dtype=torch.uint8))
    assert torch.allclose(maps[:, 1], torch.full((1, 96, 128), 0.5))


def test_batches_and_loss(weights: dict[str, np.ndarray], photos: Photos) -> None:
    task = DetTraining(config(), weights, "x", scene=Scenes(photos, swapped=0.5, real=0.5))
    copy = pickle.loads(pickle.dumps(task))
    batch = task.batch(3)
    assert batch.images.shape == (2, 96, 128, 3)
    assert batch.maps.shape == (4, 2, 96, 128)
    assert torch.equal(batch.maps, copy.batch(3).maps)
    assert torch.equal(batch.images, copy.batch(3).images)
    loss, parts = task.loss(task.network.train(), batch)
    assert torch.isfinite(loss)
    assert set(parts) == {"shrink", "threshold", "binary"}


def test_labelled_photos_as_ppocr_shows_them(weights: dict[str, np.ndarray], photos: Photos) -> None:
    scenes = Scenes(photos, swapped=0.0, real=1.0, augment=(IaaAugment(), EastRandomCropData(), CopyPaste()))
    task = DetTraining(config(), weights, "x", scene=scenes)
    batch = task.batch(0)
    assert torch.equal(batch.images, task.batch(0).images)
    # A part of the photo seldom has the input's aspect: one side stays black. The plate is in it.
    assert all(bool((image[-1] == 0).all() or (image[:, -1] == 0).all()) for image in batch.images)
    assert float(batch.maps[0].sum()) > 0


def test_metric_is_that_of_the_runtimes_boxes(weights: dict[str, np.ndarray], photos: Photos) -> None:
    task = DetTraining(config(), weights, "x", scene=Scenes(), validation=photos.samples)
    assert task.evaluate(Perfect()) == {"hmean": 1.0, "precision": 1.0, "recall": 1.0}


def test_without_validation_drawn_scenes_are_measured(
    weights: dict[str, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge_lpr.finetune.training.det._RENDERED_SCENES", 2)
    task = DetTraining(config(), weights, "x", scene=Scenes())
    assert set(task.evaluate(task.network.eval())) == {"hmean", "precision", "recall"}


def test_frozen_blocks(weights: dict[str, np.ndarray]) -> None:
    task = DetTraining(config(frozen_blocks=3), weights, "x", scene=Scenes())
    trained = {name for name, p in task.network.named_parameters() if p.requires_grad}
    assert not any(n.startswith(("backbone.conv.", "backbone.stage0.")) for n in trained)
    assert any(n.startswith("backbone.stage1.0.") for n in trained)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["PP-OCRv4_server_det", "PP-OCRv5_server_det", "ch_PP-OCRv3_det_teacher"])
def test_large_detectors_learn(name: str, photos: Photos) -> None:
    torch.manual_seed(1)
    network = TorchNetwork(ARCHITECTURES[name])
    start = {n: a for n, a in weights_of(network).items() if not n.startswith("head.thresh.")}
    settings = config(network=name, batch=1, freeze_batch_norm=False, frozen_blocks=1)
    task = DetTraining(settings, start, "x", scene=Scenes(photos, swapped=0.0, real=1.0))
    batch, optimizer = task.batch(0), torch.optim.SGD(task.network.parameters(), 1e-3)
    losses = []
    for _ in range(3):
        loss, parts = task.loss(task.network.train(), batch)
        assert ("unrefined" in parts) == ("server" in name)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[2] < losses[0]
