"""How many bytes a GPU would move for one image, by the bundle's networks: an estimate from their graphs.

Nothing runs: what fused layers read and write is counted (`edge_lpr.onnx_graph.traffic`), with most and with
least of the fusions that TensorRT may do. Beside the bundle's own files stands what calibration would make of
its FP32 by today's rules if every layer that may be INT8 were. Prints a table, in MB an image.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from edge_lpr.bundle.manifest import Bundle, load_bundle
from edge_lpr.calib.quantization.fp16 import sensitive_nodes, to_fp16
from edge_lpr.calib.quantization.int8 import FP16_QDQ_OPSET
from edge_lpr.calib.quantization.layers import find_layers, observe_shapes
from edge_lpr.calib.quantization.tensorrt_target import TensorRTTarget, fold_products
from edge_lpr.console.module_main import Parser, module_main
from edge_lpr.console.output import say, show
from edge_lpr.console.tables import table
from edge_lpr.environment import tool
from edge_lpr.io.atomic_io import write_json
from edge_lpr.io.claims import check_outputs, files_in
from edge_lpr.onnx_graph.graph import OPSET, OnnxGraph
from edge_lpr.onnx_graph.pool_first import pool_first
from edge_lpr.onnx_graph.traffic import moved_bytes
from edge_lpr.pipeline.detector import input_size
from edge_lpr.pipeline.settings import DetectorSettings
from edge_lpr.precisions import REFERENCE
from edge_lpr.types import PARTS

FRAME = (1080, 1920)
"""Height and width of the frames that the detector's input is made of, in pixels."""
BY_RULES = ("fp16", "int8")


def by_rules(model: onnx.ModelProto, precision: str, shape: Sequence[int]) -> onnx.ModelProto:
    """Makes what calibration makes of an FP32 network where all layers may run so, as far as bytes go.

    Nothing is measured: ranges are all 1, and every pooling stays in FP32, as most were seen to need.

    Args:
        model: The FP32 network.
        precision: "fp16" or "int8".
        shape: The input's shape.
    """
    graph = OnnxGraph(model)
    pool_first(graph)
    fold_products(graph)
    named = graph.to_model(precision)
    if precision == "int8":
        target = TensorRTTarget()
        refused = target.refused(graph, observe_shapes(graph, np.zeros(shape, np.uint8)))
        layers = [layer for layer in find_layers(graph) if layer.name not in refused]
        target.insert(graph, layers, dict.fromkeys(target.tensors(graph, layers), 1.0))
        named = graph.to_model(precision)
    typed = OnnxGraph(named, FP16_QDQ_OPSET if precision == "int8" else OPSET)
    pools = [node.name for node in typed.nodes if node.op_type == "GlobalAveragePool"]
    to_fp16(typed, [*sensitive_nodes(named), *pools])
    return typed.to_model(precision)


def estimates(bundle: Bundle) -> Iterator[dict[str, Any]]:
    """Estimates each network of a bundle in each of its precisions, and as the rules make it, for one image.

    Args:
        bundle: The bundle.

    Yields:
        Its part, precision, input shape, and the bytes with most and with least fused.
    """
    size = input_size(bundle.det, DetectorSettings.for_model(bundle.det), *FRAME)
    shapes = {"det": (1, *size, 3), "rec": (1, bundle.rec.height, bundle.rec.widths[-1], 3)}
    for part in PARTS:
        models = {
            precision: onnx.load_from_string(bundle.model(part, precision).read())
            for precision in bundle.precisions()
        }
        if REFERENCE in models:
            small = (1, 64, 96, 3) if part == "det" else shapes[part]
            for precision in BY_RULES:
                models[f"{precision} by rules"] = by_rules(models[REFERENCE], precision, small)
        for name, model in models.items():
            most, least = moved_bytes(model, shapes[part])
            yield {
                "part": part,
                "precision": name,
                "input": list(shapes[part]),
                "bytes_most_fused": most,
                "bytes_least_fused": least,
            }


@module_main("benchmarks.traffic")
def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command of this module."""
    parser = Parser(prog="python -m edge_lpr.benchmarks.traffic", description=__doc__)
    parser.add_argument(
        "bundle", nargs="?", metavar="BUNDLE", help="a bundle's folder (default: the package's)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures as JSON too")
    args = parser.parse_args(argv)
    bundle = load_bundle(args.bundle)
    check_outputs([("--json", args.json)], files_in("BUNDLE", bundle.path))
    found = list(estimates(bundle))
    rows = [["network", "precision", "input", "MB, most fused", "MB, least fused"]]
    for one in found:
        size = "×".join(map(str, one["input"]))
        megabytes = [f"{one[key] / 1e6:.1f}" for key in ("bytes_most_fused", "bytes_least_fused")]
        rows.append([one["part"], one["precision"], size, *megabytes])
    show(table(rows))
    if args.json:
        write_json(args.json, {"tool": tool(), "bundle": bundle.name, "networks": found})
        say(f"written: {args.json}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
