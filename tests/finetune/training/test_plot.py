"""The image of a run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers.extras import reason

pytest.importorskip("matplotlib", reason=reason("matplotlib", "finetune"))

from edge_lpr.errors import OutputError
from edge_lpr.finetune.training.plot import plot_history
from edge_lpr.io.image_io import read_image

HISTORY: dict[str, list[dict[str, float]]] = {
    "loss": [{"step": 10.0 * i, "loss": 1.0 / i} for i in range(1, 6)],
    "metrics": [{"step": 0.0, "score": 0.2, "loss": 3.0}, {"step": 50.0, "score": 0.9, "loss": 1.0}],
}


def test_a_run_is_drawn(tmp_path: Path) -> None:
    plot_history(HISTORY, "score", tmp_path / "run.png")
    image = read_image(tmp_path / "run.png")
    assert image.shape == (495, 990, 3)
    # Loss in grey, the metric in a colour.
    assert len(np.unique(image.reshape(-1, 3), axis=0)) > 20
    other = {**HISTORY, "metrics": [{**row, "score": 0.5} for row in HISTORY["metrics"]]}
    plot_history(other, "score", tmp_path / "other.png")
    assert not np.array_equal(image, read_image(tmp_path / "other.png"))


@pytest.mark.parametrize(
    "history",
    [
        {"loss": [], "metrics": []},
        {"loss": [{"step": 10.0, "loss": 0.0}], "metrics": [{"step": 0.0, "score": float("nan")}]},
    ],
)
def test_a_run_that_has_hardly_begun_is_drawn(
    tmp_path: Path, history: dict[str, list[dict[str, float]]]
) -> None:
    plot_history(history, "score", tmp_path / "run.png")
    assert read_image(tmp_path / "run.png").shape[2] == 3


def test_an_image_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"run\.png: cannot be written, there is no folder"):
        plot_history(HISTORY, "score", tmp_path / "no" / "run.png")
