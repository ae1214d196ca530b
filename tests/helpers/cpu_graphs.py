"""What ONNX Runtime makes of a quantized model on a CPU: the operators of the graph that it runs."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import onnx
import onnxruntime as ort


def operators(model: bytes, folder: Path) -> Counter[str]:
    """Counts the operators of the graph that ONNX Runtime runs."""
    options = ort.SessionOptions()
    options.log_severity_level = 4  # it warns that the saved graph is for this machine alone
    options.optimized_model_filepath = str(folder / "optimized.onnx")
    ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return Counter(node.op_type for node in onnx.load(folder / "optimized.onnx").graph.node)


def quantized_convolutions(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    """Lists the convolutions whose weights come out of a DequantizeLinear."""
    producers = {name: node.op_type for node in model.graph.node for name in node.output}
    return [
        node
        for node in model.graph.node
        if node.op_type == "Conv" and producers.get(node.input[1]) == "DequantizeLinear"
    ]
