"""Which layers of a network that is not strongly typed are asked for in FP32."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from edge_lpr.backends.tensorrt.api import _keep_float

FLOAT, HALF = "float", "half"


@pytest.fixture(autouse=True)
def tensorrt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", SimpleNamespace(DataType=SimpleNamespace(FLOAT=FLOAT)))


def layer(name: str, kind: str = FLOAT, metadata: str = "") -> SimpleNamespace:
    """A layer as TensorRT 8.6 has it, whose one input and output are of a type."""
    return SimpleNamespace(
        name=name,
        metadata=metadata,
        precision=None,
        num_inputs=1,
        get_input=lambda i: SimpleNamespace(dtype=kind),
        num_outputs=1,
        get_output_type=lambda i: kind,
    )


@pytest.mark.parametrize(
    ("name", "metadata", "kept"),
    [
        ("LayerNormalization_1", "", True),
        ("LayerNormalization_10", "", False),
        ("(Unnamed Layer* 7) [Reduce]", "[ONNX Layer: LayerNormalization_1]", True),
        ("Conv_1", "[ONNX Layer: Conv_1]", False),
    ],
)
def test_named_nodes_are_kept_whatever_their_types_say(name: str, metadata: str, kept: bool) -> None:
    """INT8 over FP16 is written in FP32 for 8.6: its types say nothing."""
    made = layer(name, FLOAT, metadata)
    _keep_float(made, {"LayerNormalization_1"})  # type: ignore[arg-type]
    assert made.precision == (FLOAT if kept else None)


@pytest.mark.parametrize("kind", [FLOAT, HALF])
def test_without_names_the_types_say_it(kind: str) -> None:
    made = layer("Conv_1", kind)
    _keep_float(made, None)  # type: ignore[arg-type]
    assert made.precision == (FLOAT if kind == FLOAT else None)
