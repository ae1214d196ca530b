"""What Paddle put out, kept in the bundle."""

import io
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from helpers.extras import reason

from edge_lpr.bundle.manifest import bundled, load_bundle
from edge_lpr.errors import BundleError
from edge_lpr.export.parity.reference import (
    REFERENCE_FILE,
    check_reference,
    pack_reference,
    reference_crops,
    reference_images,
)

pytest.importorskip("onnxruntime", reason=reason("onnxruntime", "cpu"))


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(bundled(), tmp_path / "copy"))


def test_images_and_crops_are_the_same_each_time() -> None:
    images, crops = reference_images(), reference_crops(48, 320)
    assert [p.shape for p in images] == [(256, 320, 3)] * 3
    assert [c.shape for c in crops] == [(48, 320, 3)] * 4
    for first, again in zip([*images, *crops], [*reference_images(), *reference_crops(48, 320)], strict=True):
        assert first.dtype == np.uint8
        np.testing.assert_array_equal(first, again)


def test_outputs_are_rounded_and_inputs_are_not() -> None:
    image = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    probs = np.array([[0.12345678, 0.5]], np.float32)
    with np.load(io.BytesIO(pack_reference([(image, probs)], [(image, probs)] * 2))) as arrays:
        names = "det_in_0 det_out_0 rec_in_0 rec_in_1 rec_out_0 rec_out_1"
        assert sorted(arrays.files) == names.split()
        np.testing.assert_array_equal(arrays["det_in_0"], image)
        np.testing.assert_array_equal(arrays["rec_out_1"], np.float32([[0.123457, 0.5]]))


def test_a_reference_of_other_models_is_told_apart(copy: Path) -> None:
    with np.load(copy / REFERENCE_FILE) as arrays:
        content = {name: arrays[name] for name in arrays.files}
    content["det_out_0"] = np.zeros_like(content["det_out_0"])
    np.savez_compressed(copy / REFERENCE_FILE, **content)
    det, rec = check_reference(load_bundle(copy))
    assert not det.passed(1e-4)
    assert rec.passed(1e-4)


def test_a_bundle_without_or_with_a_damaged_reference(copy: Path) -> None:
    bundle = load_bundle(copy)
    data = (copy / REFERENCE_FILE).read_bytes()
    for bad in (data[:1000], b"", b"text", data[:-100]):
        (copy / REFERENCE_FILE).write_bytes(bad)
        with pytest.raises(BundleError, match="damaged"):
            check_reference(bundle)
    (copy / REFERENCE_FILE).unlink()
    with pytest.raises(BundleError, match="--det and --rec"):
        check_reference(bundle)


def test_a_reference_that_unpacks_to_too_much(copy: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("det_in_0.npy", bytes(80 << 20))
    (copy / REFERENCE_FILE).write_bytes(buffer.getvalue())
    with pytest.raises(BundleError, match="unpacks to more"):
        check_reference(load_bundle(copy))
