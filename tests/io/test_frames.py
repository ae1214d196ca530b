"""What every source gives."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from edge_lpr.io.frames import Frame, Source


class Two(Source):
    """Two frames, and what is told of closing."""

    closed = 0

    def __iter__(self) -> Iterator[Frame]:
        for i in range(2):
            yield Frame(np.zeros((2, 2, 3), np.uint8), i, i / 25, self.label)

    def close(self) -> None:
        self.closed += 1


def test_a_source_is_closed_however_its_block_ends() -> None:
    source = Two("two", lambda line: None)
    with source as opened:
        assert [(f.index, f.time, f.name) for f in opened] == [(0, 0.0, "two"), (1, 0.04, "two")]
    assert source.closed == 1
    with pytest.raises(KeyboardInterrupt), source:
        raise KeyboardInterrupt
    assert source.closed == 2


def test_what_is_not_known_is_none() -> None:
    source = Source("street", lambda line: None)
    assert (source.total, source.fps, source.started, source.root) == (None, None, None, None)
    assert (source.state, source.live, source.is_image, source.skipped, source.dropped) == (
        "open",
        False,
        False,
        0,
        0,
    )
    source.close()
    source.close()
    with pytest.raises(NotImplementedError):
        iter(source)


def test_frames_are_told_apart_by_identity() -> None:
    image = np.zeros((2, 2, 3), np.uint8)
    first, second = (Frame(image, 0, None, "a.jpg") for _ in range(2))
    assert first != second
    assert len({first, second, first}) == 2
