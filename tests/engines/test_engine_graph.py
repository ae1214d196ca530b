"""Packed maps and whole frames, run in ONNX Runtime on the sample picture: the same boxes as without."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.extras import reason

pytest.importorskip("onnx", reason=reason("onnx", "test"))
pytest.importorskip("onnxruntime", reason=reason("onnxruntime", "cpu"))

import onnx

from edge_lpr.backends.onnxruntime import OnnxRuntimeBackend
from edge_lpr.bundle.manifest import Bundle, bundled, load_bundle
from edge_lpr.engines.engine_graph import with_edges
from edge_lpr.engines.qdq_trt8 import rewrite_for_trt8
from edge_lpr.errors import ModelError
from edge_lpr.io.image_io import read_image
from edge_lpr.pipeline.db_postprocess import Box
from edge_lpr.pipeline.detector import Detector, input_size
from edge_lpr.pipeline.settings import DetectorSettings
from edge_lpr.types import Image, Size

STREET = Path(__file__).resolve().parents[2] / "samples" / "street.jpg"


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    if not (bundled() / "bundle.json").is_file():
        pytest.skip("needs the default bundle")
    return load_bundle()


def pictures() -> list[Image]:
    """Parts of the sample that show a plate, lying and upright."""
    street = read_image(STREET)
    parts = [street[300:420, 150:390], street[280:430, 640:860], street[210:440, 680:840]]
    return [np.ascontiguousarray(part) for part in parts]


def settings(bundle: Bundle, thresh: float | None = None) -> DetectorSettings:
    """The bundle's, for pictures as small as these."""
    own = DetectorSettings.for_model(bundle.det)
    return replace(own, det_limit_side_len=64, thresh=own.thresh if thresh is None else thresh)


def opened(data: bytes, precision: str) -> OnnxRuntimeBackend:
    return OnnxRuntimeBackend(data, precision, device="cpu", threads=1)


def detector(bundle: Bundle, data: bytes, precision: str = "fp32", thresh: float | None = None) -> Detector:
    return Detector(opened(data, precision), bundle.det, settings(bundle, thresh))


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_a_packed_map_has_the_same_boxes_in_fewer_bytes(bundle: Bundle, precision: str) -> None:
    data = bundle.model("det", precision).read()
    packed = with_edges(data, "det", bundle.det.output_name, settings(bundle).thresh, None)
    plain, dense = (detector(bundle, d, precision) for d in (data, packed))
    for image in pictures():
        expected, boxes = plain.detect(image), dense.detect(image)
        assert len(boxes) == len(expected) > 0
        for box, other in zip(boxes, expected, strict=True):
            np.testing.assert_array_equal(box.rectangle, other.rectangle)
            np.testing.assert_array_equal(box.corners, other.corners)
            assert box.score == pytest.approx(other.score, abs=1 / 510)
    outputs = dense.backend.run({bundle.det.input_name: np.zeros((2, 64, 96, 3), np.uint8)})
    assert sum(output.nbytes for output in outputs.values()) == 2 * (64 * 96 * 9 // 8 + 4)


@pytest.mark.parametrize("thresh", [0.2, 0.6])
def test_another_threshold_is_compared_with_the_levels(bundle: Bundle, thresh: float) -> None:
    data = bundle.model("det", "fp32").read()
    packed = with_edges(data, "det", bundle.det.output_name, settings(bundle).thresh, None)
    image = pictures()[0]
    plain, dense = (detector(bundle, d, thresh=thresh).detect(image) for d in (data, packed))
    assert len(plain) == len(dense) > 0
    assert farthest(plain, dense) < 1


def farthest(boxes: list[Box], others: list[Box]) -> float:
    """The largest distance of a coordinate of the rectangles, which are in whole pixels."""
    pairs = zip(boxes, others, strict=True)
    return max(float(np.abs(box.rectangle - other.rectangle).max()) for box, other in pairs)


def framed(bundle: Bundle, data: bytes, frame: Size) -> tuple[Detector, Size]:
    """A detector that takes whole frames of one size, and resizes others."""
    size = input_size(bundle.det, settings(bundle), *frame)
    whole = with_edges(data, "det", bundle.det.output_name, settings(bundle).thresh, (frame, size))
    frames = {(frame, size): opened(whole, "fp32")}
    return Detector(opened(data, "fp32"), bundle.det, settings(bundle), frames), size


def test_a_whole_frame_is_resized_in_the_graph(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    data = bundle.model("det", "fp32").read()
    plain = detector(bundle, data)
    for image in pictures():
        height, width = image.shape[:2]
        whole, size = framed(bundle, data, (height, width))
        assert size != (height, width)
        monkeypatch.setattr(whole.backend, "run", None)
        boxes, expected = whole.detect_batch([image, image])[1], plain.detect(image)
        # OpenCV computes in fixed point and is off by one level in some pixels.
        assert len(boxes) == len(expected) > 0
        assert farthest(boxes, expected) <= 1


def test_what_has_another_size_is_resized_on_the_host(bundle: Bundle) -> None:
    data = bundle.model("det", "fp32").read()
    image = pictures()[0]
    height, width = image.shape[:2]
    whole, _ = framed(bundle, data, (height + 1, width))
    assert farthest(whole.detect(image), detector(bundle, data).detect(image)) == 0
    # So is a second look, which asks for a smaller input.
    whole, _ = framed(bundle, data, (height, width))
    again = whole.detect_batch([image], 128)[0]
    assert farthest(again, detector(bundle, data).detect_batch([image], 128)[0]) == 0


def test_tensorrts_rules_hold_at_the_edges(bundle: Bundle) -> None:
    """UINT8 at the edges alone, each behind or before a cast, and constants where constants have to be."""
    data = bundle.model("det", "int8").read()
    made = with_edges(data, "det", bundle.det.output_name, 0.3, ((1080, 1920), (768, 1376)))
    for model in (onnx.load_from_string(made), onnx.load_from_string(rewrite_for_trt8(made)[0])):
        onnx.checker.check_model(model, full_check=True)
        graph = model.graph
        (image,) = graph.input
        assert [dim.dim_value for dim in image.type.tensor_type.shape.dim][1:] == [1080, 1920, 3]
        assert {node.op_type for node in graph.node if image.name in node.input} == {"Cast"}
        makers = {name: node.op_type for node in graph.node for name in node.output}
        uint8 = [o.name for o in graph.output if o.type.tensor_type.elem_type == onnx.TensorProto.UINT8]
        assert len(uint8) == 2 and {makers[name] for name in uint8} == {"Cast"}
        stored = {item.name for item in graph.initializer}
        for node in graph.node:
            if node.op_type in ("Resize", "Reshape", "ReduceSum"):
                assert set(node.input[1:]) - {""} <= stored
        inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True).graph
        shapes = {
            info.name: [dim.dim_value for dim in info.type.tensor_type.shape.dim]
            for info in (*inferred.value_info, *inferred.output)
        }
        (resize,) = [
            node for node in graph.node if node.op_type == "Resize" and node.input[0].endswith("_frame")
        ]
        assert shapes[resize.output[0]][1:] == [3, 768, 1376]


@pytest.mark.parametrize(
    "frame", [(1080, 1920), (1920, 1080), (720, 1280), (2160, 3840), (1944, 2592), (487, 911)]
)
def test_the_scales_of_a_frame_make_the_very_size(bundle: Bundle, frame: Size) -> None:
    from edge_lpr.engines.engine_graph import _scale

    size = input_size(bundle.det, DetectorSettings.for_model(bundle.det), *frame)
    for given, wanted in zip(frame, size, strict=True):
        scale = _scale(given, wanted)
        assert int(np.float32(given) * scale) == int(given * float(scale)) == wanted


def test_a_graph_of_another_make_is_refused(bundle: Bundle) -> None:
    data = bundle.model("rec", "fp32").read()
    with pytest.raises(ModelError, match="rec: it has no float32 output 'prob'"):
        with_edges(data, "rec", "prob", 0.3, None)
    model = onnx.load_from_string(bundle.model("det", "fp32").read())
    next(node for node in model.graph.node if node.op_type == "Transpose").attribute[0].ints[:] = [0, 3, 2, 1]
    with pytest.raises(ModelError, match="det: its input is not cast and turned to planes"):
        with_edges(model.SerializeToString(), "det", "prob", 0.3, ((90, 160), (96, 160)))
