"""What every backend has to do, run by each on the package's own bundle."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from helpers.extras import reason

from edge_lpr.backends import Backend
from edge_lpr.backends.onnxruntime import OnnxRuntimeBackend
from edge_lpr.bundle.manifest import Bundle, bundled, load_bundle
from edge_lpr.errors import BackendError, EdgeLprError
from edge_lpr.pipeline.ordered_pool import in_order
from edge_lpr.types import Size

# Heights and widths of the detector's input that the engines of this test are built for, in pixels.
SIZES = ((64, 96), (64, 160))
LARGEST_BATCH = 4


@dataclass
class Opened:
    """Both models in one backend."""

    bundle: Bundle
    det: Backend
    rec: Backend


@pytest.fixture(scope="module", params=["onnxruntime", pytest.param("tensorrt", marks=pytest.mark.gpu)])
def opened(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opened]:
    if not (bundled() / "bundle.json").is_file():
        pytest.skip("needs the default bundle")
    bundle = load_bundle()
    if request.param == "onnxruntime":
        pytest.importorskip("onnxruntime", reason=reason("onnxruntime", "cpu"))
        det: Backend = OnnxRuntimeBackend.from_file(bundle.model("det", "fp32"), threads=1)
        rec: Backend = OnnxRuntimeBackend.from_file(bundle.model("rec", "fp32"), threads=1)
    else:
        det, rec = _tensorrt(bundle, tmp_path_factory.mktemp("engines"))
    yield Opened(bundle, det, rec)
    det.close()
    rec.close()


def _tensorrt(bundle: Bundle, folder: Path) -> tuple[Backend, Backend]:
    from edge_lpr.backends.tensorrt.api import TensorRT
    from edge_lpr.backends.tensorrt.backend import TensorRTBackend
    from edge_lpr.engines.build import build_engine, build_jobs
    from edge_lpr.engines.build_settings import BuildSettings

    try:
        api = TensorRT.open()
    except EdgeLprError as e:
        pytest.skip(f"needs a GPU with TensorRT: {e}")
    sizes = tuple(f"{width}x{height}" for height, width in SIZES)
    sources = tuple(os.environ.get("EDGE_LPR_TACTIC_SOURCES", "").upper().split())
    settings = BuildSettings(
        batches=(1, LARGEST_BATCH),
        det_sizes=sizes,
        float_map=True,
        optimization_level=0,
        tactic_sources=sources,
    )
    for job in build_jobs(bundle, ["fp32"], settings):
        build_engine(api, job, folder)
    det = TensorRTBackend(bundle.model("det", "fp32"), folder=folder)
    return det, TensorRTBackend(bundle.model("rec", "fp32"), folder=folder)


def make_image(*shape: int, seed: int = 0) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.random.default_rng(seed).integers(0, 256, (*shape, 3), np.uint8)


def maps(
    opened: Opened, image: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]
) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    result = opened.det.run({opened.bundle.det.input_name: image})
    assert set(result) == {opened.bundle.det.output_name}
    return result[opened.bundle.det.output_name]


def test_it_says_what_it_is(opened: Opened) -> None:
    for backend in (opened.det, opened.rec):
        assert isinstance(backend, Backend)
        assert backend.name in ("onnxruntime", "tensorrt")
        assert backend.precision == "fp32" and backend.device
        assert backend.max_batch is None or backend.max_batch >= 1
        assert backend.sizes is None or all(len(size) == 2 for size in backend.sizes)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("count", [1, 3])
def test_the_detector_gives_a_map_for_each_image(opened: Opened, size: Size, count: int) -> None:
    prob = maps(opened, make_image(count, *size))
    assert prob.shape == (count, *size) and prob.dtype == np.float32
    assert prob.min() >= 0 and prob.max() <= 1


@pytest.mark.parametrize("count", [1, 4])
def test_the_recognizer_gives_a_distribution_for_each_step(opened: Opened, count: int) -> None:
    rec = opened.bundle.rec
    probs = opened.rec.run({rec.input_name: make_image(count, rec.height, rec.widths[0])})[rec.output_name]
    assert probs.dtype == np.float32 and probs.shape[0] == count and probs.shape[2] == rec.classes
    np.testing.assert_allclose(probs.sum(axis=2), 1, atol=1e-3)


def test_a_batch_is_its_images(opened: Opened) -> None:
    batch = make_image(3, *SIZES[0])
    together = maps(opened, batch)
    for i in range(3):
        np.testing.assert_allclose(maps(opened, batch[i : i + 1])[0], together[i], atol=2e-3)


def test_results_belong_to_the_caller_and_inputs_stay(opened: Opened) -> None:
    image = make_image(1, *SIZES[0])
    before = image.copy()
    first = maps(opened, image)
    kept = first.copy()
    second = maps(opened, make_image(1, *SIZES[0], seed=1))
    assert not np.array_equal(kept, second)
    np.testing.assert_array_equal(first, kept)
    np.testing.assert_array_equal(image, before)
    first[:] = -1
    np.testing.assert_array_equal(maps(opened, image), kept)


def test_threads_get_their_own_results(opened: Opened) -> None:
    images = [make_image(1 + n % 2, *SIZES[n % 2], seed=n) for n in range(8)]
    expected = [maps(opened, image) for image in images]
    found: dict[int, object] = {}

    def work(number: int) -> None:
        found[number] = maps(opened, images[number])

    threads = [threading.Thread(target=work, args=(n,)) for n in range(len(images))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, one in enumerate(expected):
        np.testing.assert_allclose(found[number], one, atol=1e-5)


@pytest.mark.parametrize("workers", [2, 4])
def test_batches_in_flight_give_what_one_after_the_other_gives(opened: Opened, workers: int) -> None:
    images = [make_image(1 + n % 3, *SIZES[n % 2], seed=n) for n in range(12)]
    expected = [maps(opened, image) for image in images]
    found = [result for _, result in in_order(lambda image: maps(opened, image), images, workers)]
    for one, other in zip(expected, found, strict=True):
        np.testing.assert_array_equal(one, other)


def test_what_does_not_fit_is_an_error_of_one_line(opened: Opened) -> None:
    name = opened.bundle.det.input_name
    image = make_image(1, *SIZES[0])
    for inputs in (
        {"other": image},
        {},
        {name: image.astype(np.float32)},
        {name: image[0]},
        {name: image[..., :2]},
    ):
        with pytest.raises(BackendError) as e:
            opened.det.run(inputs)
        assert "\n" not in str(e.value)
    assert maps(opened, image).shape == (1, *SIZES[0])


def test_more_than_the_largest_batch_is_an_error(opened: Opened) -> None:
    if opened.det.max_batch is None:
        pytest.skip(f"{opened.det.name} takes any batch")
    with pytest.raises(BackendError, match="--batch"):
        maps(opened, make_image(opened.det.max_batch + 1, *SIZES[0]))


def test_closed_is_closed(opened: Opened) -> None:
    backend: Backend
    if opened.det.name == "onnxruntime":
        backend = OnnxRuntimeBackend.from_file(opened.bundle.model("det", "fp32"), threads=1)
    else:
        from edge_lpr.backends.tensorrt.backend import TensorRTBackend

        assert isinstance(opened.det, TensorRTBackend)
        backend = TensorRTBackend(opened.bundle.model("det", "fp32"), folder=opened.det.manifest.path.parent)
    backend.run({opened.bundle.det.input_name: make_image(1, *SIZES[0])})
    backend.close()
    backend.close()
    with pytest.raises(BackendError, match="closed"):
        backend.run({opened.bundle.det.input_name: make_image(1, *SIZES[0])})
