from __future__ import annotations

from typing import Any

import numpy as np

from edge_lpr.backends.base import Backend
from edge_lpr.backends.recording import RecordingBackend
from edge_lpr.backends.wrapping import WrappedBackend


class Doubling:
    """A backend that doubles its input."""

    name, precision, device = "doubling", "fp16", "cpu"
    max_batch, sizes = 4, ((32, 64),)
    preferred_batch, concurrency = 2, 3
    closed = False

    def run(self, inputs: Any) -> dict[str, Any]:
        return {"twice": 2 * inputs["image"]}

    def close(self) -> None:
        self.closed = True


def test_a_wrapped_backend_is_what_the_other_one_is() -> None:
    doubling = Doubling()
    for wrapped in (WrappedBackend(doubling), RecordingBackend(doubling)):
        assert isinstance(wrapped, Backend)
        for name in Backend.__annotations__:
            assert getattr(wrapped, name) == getattr(doubling, name), name
        assert wrapped.run({"image": np.ones(3)})["twice"].sum() == 6
    assert not doubling.closed
    wrapped.close()
    assert doubling.closed


def test_what_went_through_is_kept_until_it_is_cleared() -> None:
    recording = RecordingBackend(Doubling())
    for value in (1, 2):
        recording.run({"image": np.array([value])})
    assert [int(one["image"][0]) for one in recording.inputs] == [1, 2]
    assert [int(one["twice"][0]) for one in recording.outputs] == [2, 4]
    recording.clear()
    assert recording.inputs == recording.outputs == []
