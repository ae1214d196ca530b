"""INT8: explicit Q/DQ, with ranges, SmoothQuant and float layers as a search finds them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import onnx

from edge_lpr.calib.quantization.job import Job
from edge_lpr.calib.quantization.layers import find_layers, observe_shapes, watch
from edge_lpr.calib.quantization.range_estimator import observe
from edge_lpr.calib.quantization.search import Search
from edge_lpr.onnx_graph.graph import OnnxGraph
from edge_lpr.types import Part, Tick

__all__ = ["FLOAT_BUDGETS", "make"]

FLOAT_BUDGETS: Mapping[Part, float] = {"det": 9.0, "rec": 4.5}
"""Multiply-adds that may stay in float though accuracy is good enough without, in per cent.

At least 90 % of a detector's and 95 % of a recognizer's are to run in INT8; the rest of the way is for other
input sizes, which shift the layers' shares a little.
"""


def make(job: Job, tick: Tick) -> tuple[onnx.ModelProto, dict[str, Any]]:
    """Makes the INT8 model of one part; see `edge_lpr.calib.quantization.job`."""
    graph = OnnxGraph(job.model)
    shapes = observe_shapes(graph, job.inputs[0])
    stats = observe(job.model, watch(find_layers(graph)), job.inputs, tick)
    search = Search(
        job.model,
        stats,
        shapes,
        job.objective,
        job.cache,
        lambda line: job.report(f"{job.part} int8: {line}"),
    )
    percent = job.options.float_budget
    found = search.run(
        budget=job.options.budget / 100,
        float_budget=(FLOAT_BUDGETS[job.part] if percent is None else percent) / 100,
    )
    if job.cache.remembered:
        job.report(f"{job.part} int8: {len(job.cache.remembered)} figures remembered from an earlier run")
    return found.model, {
        "range_estimator": found.config.range_estimator,
        "smooth_quant_alpha": found.config.alpha,
        "int8_multiply_adds": round(found.int8_share, 4),
        "layers": len(search.layers),
        "float_type": "float32",
        "float_layers": [{"layer": name, "why": why} for name, why in found.float_layers.items()],
        "accuracy": job.measured("int8", found.accuracy),
    }
