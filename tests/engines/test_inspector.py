"""The inspector's JSON as TensorRT 8.6, 10 and 11 write it: shapes of its documentation, own numbers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from edge_lpr.engines.inspector import parse_report
from edge_lpr.errors import BackendError


def tensor(kind: str, *shape: int) -> dict[str, Any]:
    return {"Name": "t", "Location": "Device", "Dimensions": list(shape), "Format/Datatype": kind}


def convolution(kind_in: str, kind_out: str, weights: int, *shape: int) -> dict[str, Any]:
    return {
        "Name": "Conv_0 + Relu_1",
        "LayerType": "CaskConvolution",
        "Inputs": [tensor(kind_in, 1, 16, 4, 4)],
        "Outputs": [tensor(kind_out, *shape)],
        "ParameterType": "Convolution",
        "Weights": {"Type": "Int8", "Count": weights},
        "TacticName": "sm80_xmma_fprop",
    }


INT8_86 = "Thirty-two wide channel vectorized row major Int8 format"
FP16_86 = "Channel major FP16 format where channel % 8 == 0"


def test_types_of_all_versions_and_the_share_of_work() -> None:
    report = parse_report(
        json.dumps(
            {
                "Layers": [
                    {
                        "Name": "r",
                        "LayerType": "Reformat",
                        "Inputs": [tensor("Float")],
                        "Outputs": [tensor(INT8_86)],
                    },
                    convolution(INT8_86, INT8_86, 300, 2, 8, 10, 10),
                    convolution("Int8", "Half", 100, 1, 8, 10, 10),
                    convolution(FP16_86, FP16_86, 100, 1, 8, 10, 10),
                    {
                        "Name": "{ForeignNode[Softmax]}",
                        "LayerType": "Myelin",
                        "Inputs": [tensor("Row major linear FP32")],
                        "Outputs": [tensor("Float")],
                    },
                ],
                "Bindings": ["image", "prob"],
            }
        )
    )
    assert [(layer.input, layer.output) for layer in report.layers] == [
        ("FP32", "INT8"),
        ("INT8", "INT8"),
        ("INT8", "FP16"),
        ("FP16", "FP16"),
        ("FP32", "FP32"),
    ]
    # Each weight of a convolution works once per output position: 300·2·100, 100·100, 100·100.
    assert [layer.macs for layer in report.layers] == [None, 60_000, 10_000, 10_000, None]
    assert report.counts == {"INT8": 2, "FP16": 1, "FP32": 1}
    assert report.share("INT8") == pytest.approx(70 / 80)
    assert report.share("BF16") == 0
    assert report.layers[1].tactic == "sm80_xmma_fprop"


def split(kind: str, layout: str, key: str, *shape: int) -> dict[str, Any]:
    return {"Name": "t", "Location": "Device", "Dimensions": list(shape), "Format": layout, key: kind}


@pytest.mark.parametrize("key", ["Datatype", "DataType"])
def test_tensorrt_11_has_format_and_type_in_fields_of_their_own(key: str) -> None:
    layers = []
    for kind, layout in (("Int8", "Thirty-two wide channel vectorized row major"), ("Half", "Channel major")):
        layer = convolution(kind, kind, 300 if kind == "Int8" else 100, 1, 8, 10, 10)
        for side in ("Inputs", "Outputs"):
            layer[side] = [split(kind, f"{layout} format (kX)", key, 1, 8, 10, 10)]
        layers.append(layer)
    plain = convolution("", "", 0, 1, 8, 10, 10)
    plain["Inputs"] = [{"Name": "t", "Format": "Row major linear FP32 format (kLINEAR)"}]
    report = parse_report(json.dumps({"Layers": [*layers, plain], "I/O Tensors": [{"Name": "image"}]}))
    assert [layer.input for layer in report.layers] == ["INT8", "FP16", "FP32"]
    assert report.share("INT8") == 0.75 and report.share("FP16") == 0.25


def test_a_share_is_unknown_where_a_type_is_and_not_nothing() -> None:
    hidden = convolution("N/A due to dynamic shapes", "Int8", 100, 1, 8, 10, 10)
    for layers in ([hidden], [hidden, convolution("Int8", "Int8", 100, 1, 8, 10, 10)]):
        report = parse_report(json.dumps({"Layers": layers}))
        assert report.share("INT8") is None and report.share("FP16") is None
        assert report.share("?") is not None
    report = parse_report(json.dumps({"Layers": [convolution("Half", "Half", 100, 1, 8, 10, 10)]}))
    assert report.share("INT8") == 0.0


def test_what_tensorrt_does_not_say_is_not_guessed() -> None:
    report = parse_report(
        json.dumps(
            {
                "Layers": [
                    {
                        **convolution(
                            "N/A due to dynamic shapes", "N/A due to dynamic shapes", 9, -1, 8, -1, -1
                        )
                    },
                    {"Name": "fused", "LayerType": "kgen", "Inputs": [], "Outputs": []},
                ]
            }
        )
    )
    assert [(layer.input, layer.macs) for layer in report.layers] == [("?", None), ("?", None)]
    assert report.share("INT8") is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("EngineLayer(Convolution)", "returned no JSON"),
        ("[]", "returned no layers"),
        ('{"Layers": 5}', "returned no layers"),
        ('{"Layers": ["Conv_0", "Conv_1"]}', "names alone; build it again"),
    ],
)
def test_other_answers(text: str, said: str) -> None:
    with pytest.raises(BackendError, match=said):
        parse_report(text)


def test_an_engine_without_layers() -> None:
    assert parse_report('{"Layers": []}').counts == {}
