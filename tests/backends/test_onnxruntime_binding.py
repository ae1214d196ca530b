"""Runs on memory that stays, which on a CPU have to give what plain runs give."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from helpers.extras import reason
from numpy.typing import NDArray

from edge_lpr.backends.onnxruntime import open_session
from edge_lpr.backends.onnxruntime_binding import BoundSession
from edge_lpr.bundle.manifest import bundled, load_bundle

pytest.importorskip("onnxruntime", reason=reason("onnxruntime", "cpu"))


@pytest.mark.skipif(not (bundled() / "bundle.json").is_file(), reason="needs the default bundle")
def test_bound_runs_give_what_plain_runs_give_in_every_order_of_shapes_and_from_several_threads() -> None:
    bundle = load_bundle()
    spec = bundle.rec
    session = open_session(bundle.model("rec", "fp32").read(), threads=1)
    bound = BoundSession(session, "cpu", 0)
    rng = np.random.default_rng(0)
    shapes = [(number, spec.height, spec.widths[0], 3) for number in (1, 1, 3, 2, 3, 1)]
    images = [rng.integers(0, 256, shape, np.uint8) for shape in shapes]
    expected = [session.run([spec.output_name], {spec.input_name: image})[0] for image in images]

    def run(image: NDArray[np.uint8]) -> NDArray[np.float32]:
        (found,) = bound.run([spec.output_name], {spec.input_name: image})
        return found

    found = [run(image) for image in images]  # what the caller has is not written over
    with ThreadPoolExecutor(3) as pool:
        found += pool.map(run, images)
    for one, other in zip(found, expected * 2, strict=True):
        np.testing.assert_array_equal(one, other)


def test_after_an_error_it_runs_on() -> None:
    bundle = load_bundle()
    spec = bundle.rec
    bound = BoundSession(open_session(bundle.model("rec", "fp32").read(), threads=1), "cpu", 0)
    good = np.zeros((1, spec.height, spec.widths[0], 3), np.uint8)
    first = bound.run([spec.output_name], {spec.input_name: good})[0]
    with pytest.raises(Exception, match=r"(?i)shape|dimension"):
        bound.run([spec.output_name], {spec.input_name: good[..., :2].copy()})
    np.testing.assert_array_equal(bound.run([spec.output_name], {spec.input_name: good})[0], first)
