"""What a distance is measured on."""

from __future__ import annotations

import numpy as np

from edge_lpr.calib.quantization.objectives import window


def test_windows_hold_the_text_and_lie_on_the_stride() -> None:
    batch = np.zeros((1, 1024, 1376, 3), np.uint8)
    batch[0, 900:930, 1200:1300] = 255
    prob = batch[..., 0] / np.float32(255)
    cut = window(batch, prob)
    assert cut.shape == (1, 640, 640, 3)
    assert (cut > 0).sum() == (batch > 0).sum()
    # The stride decides where: a network sees the window on the grid that it sees the image on.
    assert np.argwhere(cut[0, ..., 0])[0].tolist() == [900 - 384, 1200 - 736]
    small = batch[:, :96, :320]
    assert window(small, prob[:, :96, :320]).shape == small.shape  # nothing found, nothing cut
