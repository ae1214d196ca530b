"""Which images ranges come from and which measure the accuracy."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edge_lpr.bundle.manifest import load_bundle
from edge_lpr.calib.quantization.calibration_data import CalibrationData, collect
from edge_lpr.calib.quantization.options import CalibrationOptions
from edge_lpr.datasets.content import content_name
from edge_lpr.datasets.labels import load_labels
from edge_lpr.errors import InputError
from edge_lpr.onnx_graph.graph import load_onnx
from edge_lpr.types import PARTS


class _Count:
    """Counts the units of all steps, by label."""

    def __init__(self) -> None:
        self.steps: dict[str, int] = {}
        self._label = ""

    @contextlib.contextmanager
    def stage(self, label: str, total: int | None) -> Iterator[_Count]:
        self._label = label
        self.steps[label] = 0
        yield self

    def update(self, n: int = 1) -> None:
        self.steps[self._label] += n


def collected(bundle: Path, data: Path, count: _Count | None = None, **options: int) -> CalibrationData:
    opened = load_bundle(bundle)
    models = {part: load_onnx(opened.model(part, "fp32").read()) for part in PARTS}
    labels = load_labels([data], unlabelled=True)
    stage = (count or _Count()).stage
    return collect(opened, models, labels, [data], CalibrationOptions(**options), stage)


def test_half_of_the_images_stays_for_validation(bundle: Path, data: Path) -> None:
    count = _Count()
    found = collected(bundle, data, count)
    assert (len(found.det_inputs), len(found.validation)) == (6, 6)
    assert len(set(found.names)) == 6 + 5
    assert not {content_name(s.path) for s in found.validation if not s.crop} & set(found.names)
    assert found.labelled and len(found.sha256) == 64
    assert count.steps["cutting plates out"] == 6
    assert count.steps["rec: network inputs"] == len(found.crops)
    # The scenes of the ranges, each with what FP32 finds and reads there, of which the crops are a part.
    assert [content_name(scene.path) for scene in found.scenes] == found.names[:6]
    plates = [plate for scene in found.scenes for plate in scene.plates or ()]
    assert all(plate.corners is not None for plate in plates)


def test_inputs_are_what_the_networks_take(bundle: Path, data: Path) -> None:
    found = collected(bundle, data)
    for given, made in zip(found.det_inputs, found.det_outputs, strict=True):
        assert given.dtype == np.uint8 and given.shape[0] == 1 and given.shape[3] == 3
        assert made.dtype == np.float32 and made.shape == given.shape[:3]
    assert all(batch.dtype == np.uint8 and batch.shape[1:] == (48, 160, 3) for batch in found.rec_inputs)
    assert sum(len(batch) for batch in found.rec_inputs) == len(found.crops)
    # Five of the ten labelled crops are calibrated on, the others and the scenes' plates are measured on.
    assert len(found.plates) == 5 + 6


def test_the_seed_chooses(bundle: Path, data: Path) -> None:
    first, again, other = (collected(bundle, data, images=3, seed=seed) for seed in (0, 0, 1))
    assert first.names == again.names and first.validation_key == again.validation_key
    assert (first.names, first.sha256) != (other.names, other.sha256)


def test_without_labels_fp32_reads_in_a_persons_place(bundle: Path, data: Path) -> None:
    (data / "plates.csv").unlink()
    shutil.rmtree(data / "crops")
    found = collected(bundle, data)
    assert not found.labelled
    assert found.warnings[-1] == "no labels: accuracy is agreement with FP32, not with the truth"
    assert all(len(sample.plates or ()) == 1 for sample in found.validation)


def test_what_cannot_be_read_is_left_out(bundle: Path, data: Path) -> None:
    broken = [data / "scenes" / f"{i}.png" for i in range(4)]
    for path in broken:
        path.write_bytes(b"no image")
    found = collected(bundle, data)
    assert content_name(broken[0]) not in found.names
    left_out = found.unread
    assert left_out and all("not an image" in w for w in left_out)
    for path in (data / "scenes").iterdir():
        path.write_bytes(b"no image")
    with pytest.raises(InputError, match="no scene that can be read"):
        collected(bundle, data)
