"""The architectures that there are, and of which one a checkpoint is."""

import re
import subprocess
import sys

import numpy as np
import pytest

from edge_lpr.architectures.registry import ARCHITECTURES, Architecture, closest, identify, of_part
from edge_lpr.errors import ModelError, SettingError


def arrays_of(architecture: Architecture, classes: int = 71, training: bool = True) -> dict[str, np.ndarray]:
    wanted = architecture.parameters(classes, training=training)
    return {p.name: np.zeros(p.shape, np.float32) for p in wanted}


DET, REC = ARCHITECTURES["ch_PP-OCRv3_det"], ARCHITECTURES["ch_PP-OCRv3_rec"]


def test_every_table_is_found_without_a_framework() -> None:
    assert set(ARCHITECTURES.names()) >= {"ch_PP-OCRv3_det", "ch_PP-OCRv3_rec"}
    assert {a.part for a in of_part("det")} == {"det"}
    assert [DET.title, REC.title] == ["PP-OCRv3 det", "PP-OCRv3 rec (CTC)"]
    assert (DET.stride, DET.height, REC.stride, REC.height) == (32, None, 8, 48)
    with pytest.raises(SettingError, match=r"architecture 'x': expected one of ch_PP-OCRv3_det"):
        ARCHITECTURES["x"]
    code = (
        "import sys; from edge_lpr.architectures.registry import ARCHITECTURES; ARCHITECTURES.names();"
        "assert {'torch', 'paddle', 'onnx'}.isdisjoint(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_checkpoints_are_known_by_what_they_hold() -> None:
    det = identify(arrays_of(DET), "det", "d")
    assert (det.architecture, det.classes, len(det.ignored)) == (DET, 0, 13)
    assert all(name.startswith("head.thresh.") for name in det.ignored)
    rec = identify(arrays_of(REC), "rec", "r")
    assert (rec.architecture, rec.classes, rec.ignored) == (REC, 71, [])
    assert closest({}, "rec").part == "rec"


@pytest.mark.parametrize("architecture", list(ARCHITECTURES), ids=lambda a: a.name)
def test_each_network_is_known_by_its_own_parameters(architecture: Architecture) -> None:
    # Without their values, which would be a gigabyte.
    wanted = architecture.parameters(71, training=True)
    arrays = {p.name: np.broadcast_to(np.float32(0), p.shape) for p in wanted}
    unused = {f"{prefix}x": np.zeros(1) for prefix in architecture.training_only}
    found = identify({**arrays, **unused}, architecture.part, "m")
    assert (found.architecture, found.classes) == (architecture, 0 if architecture.part == "det" else 71)
    assert set(found.ignored) >= set(unused)
    # One that is damaged is still known as what it is.
    with pytest.raises(ModelError, match=rf"lacks 1 of \d+ parameters, first '{re.escape(wanted[0].name)}'"):
        identify({n: a for n, a in arrays.items() if n != wanted[0].name}, architecture.part, "m")


def test_networks_that_are_not_supported_are_named() -> None:
    for name, other in (
        ("neck.encoder.lstm.weight_ih_l0", "a recognizer with LSTM"),
        ("backbone.patch_embed.proj.0.conv.weight", "SVTR"),
        ("backbone.conv1.stem1.conv.weight", "PP-OCRv6"),
    ):
        with pytest.raises(ModelError, match=rf"^m: a checkpoint of {other}.*not supported; export takes"):
            identify({name: np.zeros(1), "head.fc.weight": np.zeros((3, 4))}, "rec", "m")


def test_one_part_as_the_other() -> None:
    with pytest.raises(
        ModelError,
        match=r"^d: no parameter.*a rec checkpoint of PP-OCRv3, .* without a guide; it is a det",
    ):
        identify(arrays_of(DET), "rec", "d")
    with pytest.raises(
        ModelError, match=r"^r: a recognition checkpoint, expected one of a detection network$"
    ):
        identify(arrays_of(REC), "det", "r")


def test_a_checkpoint_of_another_network() -> None:
    with pytest.raises(
        ModelError,
        match=r"^x: lacks .*it has 'a' instead; export takes checkpoints of PP-OCRv3, PP-OCRv4/v5",
    ):
        identify({"a": np.zeros(1)}, "det", "x")
    more = {**arrays_of(DET), "neck.extra": np.zeros(1, np.float32)}
    with pytest.raises(ModelError, match=r"1 parameters that PP-OCRv3 does not have, first 'neck\.extra'"):
        identify(more, "det", "x")


def test_the_backbone_in_the_order_in_which_it_runs() -> None:
    det, rec = DET.backbone_parts(), REC.backbone_parts()
    assert (det[:4], det[-1], len(det)) == (
        ["backbone.conv", "backbone.stage0.0", "backbone.stage0.1", "backbone.stage0.2"],
        "backbone.stage3.3",
        17,
    )
    assert (rec[:2], rec[-1], len(rec)) == (
        ["backbone.conv1", "backbone.block_list.0"],
        "backbone.block_list.12",
        14,
    )
