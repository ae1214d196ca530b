"""INT8 for TensorRT: explicit Q/DQ over a float part in FP16, with what a search finds.

The search runs on a twin whose float part is FP32: it differs from the model by FP16's rounding, a hundredth
of INT8's, and runs faster on a CPU. What it ends with is turned into FP16, in opset 19, the first whose Q and
DQ know FP16, and measured. A strongly typed network (TensorRT 10 and later) runs the float part in the types
that it has: in FP32 it would move twice the bytes of FP16's, which costs more than INT8 saves.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import onnx

from edge_lpr.calib.quantization.fp16 import OVERFLOW_BATCHES, find_overflows, sensitive_nodes, to_fp16
from edge_lpr.calib.quantization.job import Job
from edge_lpr.calib.quantization.layers import find_layers, observe_shapes
from edge_lpr.calib.quantization.range_estimator import observe
from edge_lpr.calib.quantization.search import Search
from edge_lpr.calib.quantization.tensorrt_target import TensorRTTarget, fold_products
from edge_lpr.counting import counted
from edge_lpr.onnx_graph.graph import OnnxGraph
from edge_lpr.onnx_graph.pool_first import pool_first
from edge_lpr.types import Part, Tick

__all__ = ["FLOAT_BUDGETS", "FP16_QDQ_OPSET", "make"]

FLOAT_BUDGETS: Mapping[Part, float] = {"det": 9.0, "rec": 4.5}
"""Multiply-adds that may stay in float though accuracy is good enough without, in per cent.

At least 90 % of a detector's and 95 % of a recognizer's are to run in INT8; the rest of the way is for other
input sizes, which shift the layers' shares a little.
"""
FP16_QDQ_OPSET = 19
"""The first opset whose QuantizeLinear and DequantizeLinear take FP16."""


def make(job: Job, tick: Tick) -> tuple[onnx.ModelProto, dict[str, Any]]:
    """Makes the INT8 model of one part; see `edge_lpr.calib.quantization.job`."""
    graph = OnnxGraph(job.model)
    pool_first(graph)
    fold_products(graph)
    model = graph.to_model(job.part)
    shapes = observe_shapes(graph, job.inputs[0])
    target = TensorRTTarget()
    refused = target.refused(graph, shapes)
    layers = [layer for layer in find_layers(graph) if layer.name not in refused]
    if not layers:
        job.warn(f"{job.part} int8: no layer of this network may run in INT8, all of it is FP16")
    stats = observe(model, target.tensors(graph, layers), job.inputs, tick)
    search = Search(
        model,
        stats,
        shapes,
        job.objective,
        job.cache,
        lambda line: job.report(f"{job.part} int8: {line}"),
        target,
    )
    found = search.run(
        budget=job.options.budget / 100,
        float_budget=job.options.float_share(FLOAT_BUDGETS[job.part]),
    )
    if job.cache.remembered:
        job.report(
            f"{job.part} int8: {counted(len(job.cache.remembered), 'figures')} remembered from an earlier run"
        )
    made, reasons = over_fp16(found.model, job, tick)
    accuracy = job.accuracy(f"over fp16|{sha256(made.SerializeToString()).hexdigest()[:16]}", made)
    if accuracy < found.accuracy - job.options.budget / 100 - 1 / job.objective.items:
        lost = 100 * (found.accuracy - accuracy)
        job.warn(f"{job.part} int8 loses {lost:.2f} points more over FP16 than over FP32")
    return made, {
        "range_estimator": found.config.range_estimator,
        "smooth_quant_alpha": found.config.alpha,
        "int8_multiply_adds": round(found.int8_share, 4),
        "layers": len(search.layers) + len(search.refused),
        "float_type": "float16",
        "float_layers": [{"layer": name, "why": why} for name, why in found.float_layers.items()],
        "float32_layers": [{"layer": name, "why": why} for name, why in reasons.items()],
        "accuracy": job.measured("int8", accuracy),
    }


def over_fp16(twin: onnx.ModelProto, job: Job, tick: Tick) -> tuple[onnx.ModelProto, dict[str, str]]:
    """Turns the float part of an INT8 model into FP16.

    Args:
        twin: The model, its float part FP32.
        job: What it is made for.
        tick: Called with 1 after each batch.

    Returns:
        The model in opset 19, and why nodes stay in FP32, by their names.
    """
    reasons = sensitive_nodes(twin) | find_overflows(twin, job.inputs[:OVERFLOW_BATCHES], tick)
    graph = OnnxGraph(twin, FP16_QDQ_OPSET)
    to_fp16(graph, reasons)
    return graph.to_model(f"{job.part}_int8"), reasons
