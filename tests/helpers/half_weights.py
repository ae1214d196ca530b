"""A made-up precision, as another project would add one: weights rounded to FP16, computed with in FP32."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx

from edge_lpr.calib.quantization.job import Job
from edge_lpr.onnx_graph.graph import OnnxGraph
from edge_lpr.types import Tick


def make(job: Job, tick: Tick) -> tuple[onnx.ModelProto, dict[str, Any]]:
    graph = OnnxGraph(job.model)
    for name, value in list(graph.constants.items()):
        if value.dtype == np.float32:
            graph.constants[name] = value.astype(np.float16).astype(np.float32)
    tick(len(job.inputs))
    model = graph.to_model(f"{job.part}_half_weights")
    return model, {"accuracy": job.measured("w16", job.accuracy("w16", model))}
