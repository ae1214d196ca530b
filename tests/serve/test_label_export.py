"""The export of corrected crops: what the label reader of fine-tuning takes."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
from helpers.stored_passages import database, event, fill

from edge_lpr.datasets.labels import load_labels
from edge_lpr.serve.label_export import label_parts
from edge_lpr.serve.pictures import Pictures
from edge_lpr.serve.settings import RetentionSettings
from edge_lpr.serve.store import EventStore, Query


def test_fine_tuning_takes_what_was_corrected(tmp_path: Path) -> None:
    base = database(tmp_path / "events.db")
    store = EventStore(base)
    pictures = Pictures(tmp_path / "pictures", RetentionSettings.model_validate({"free_gigabytes": 0}))
    for number in range(4):
        crop = np.full((32, 100, 3), 20 * number, np.uint8)
        picture = pictures.put(f"passage-{number}", "2026-11-27", "crop", crop)
        assert picture is not None
        fill(base, event(number, crop=picture.path))
    fill(base, event(9, crop="2026-11-27/../../etc-crop.jpg"), event(10, crop="2026-11-27/gone-crop.jpg"))
    for name, text in (
        ("passage-1", "京A54321"),
        ("passage-3", "京A12345"),
        ("passage-9", "京A1"),
        ("passage-10", "京A2"),
    ):
        store.correct(name, text, "anna")
    file = io.BytesIO(b"".join(label_parts(store.every(Query()), pictures)))
    folder = tmp_path / "corrected"
    with zipfile.ZipFile(file) as archive:
        assert all(not name.startswith(("/", "..")) for name in archive.namelist())
        archive.extractall(folder)
    labels = load_labels([folder])
    assert labels.problems == [] and all(sample.crop for sample in labels.samples)
    assert [(sample.plates or ())[0].text for sample in labels.samples] == ["京A12345", "京A54321"]
    assert [int(sample.read().mean()) for sample in labels.samples] == [60, 20]


def test_nothing_was_corrected(tmp_path: Path) -> None:
    pictures = Pictures(tmp_path, RetentionSettings())
    file = io.BytesIO(b"".join(label_parts([], pictures)))
    with zipfile.ZipFile(file) as archive:
        assert archive.read("rec.txt") == b""
