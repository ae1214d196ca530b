from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_lpr.finetune import render


def test_streams_repeat_with_their_seed() -> None:
    first, second, other = render.crops(5), render.crops(5), render.crops(6)
    for _ in range(5):
        (image, plate), (image2, plate2) = next(first), next(second)
        assert plate == plate2
        assert np.array_equal(image, image2)
    assert next(other)[1] != plate


def test_contact_sheets_are_written(tmp_path: Path) -> None:
    file = str(tmp_path / "sheet.png")
    assert render.main(["--sheet", file, "--what", "plates"]) == 0
    assert cv2.imread(file).shape[1] == 4 * 378
    with pytest.raises(SystemExit) as stop:
        render.main(["--sheet", str(tmp_path / "sheet.xyz")])
    assert stop.value.code == 2
