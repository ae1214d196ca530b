"""Streams of training images."""

from __future__ import annotations

import numpy as np

from edge_lpr.finetune.synthesis.render import streams


def test_streams_repeat_with_their_seed() -> None:
    first, second, other = streams.crops(5), streams.crops(5), streams.crops(6)
    for _ in range(5):
        (image, plate), (image2, plate2) = next(first), next(second)
        assert plate == plate2
        assert np.array_equal(image, image2)
    assert next(other)[1] != plate
