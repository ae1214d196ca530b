"""The inspector's JSON as TensorRT 8.6 and 10 write it: shapes of its documentation, numbers of our own."""

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
