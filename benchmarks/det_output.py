"""Whether the detector's probability map should leave the graph as uint8: a quarter of the bytes.

    python -m edge_lpr.benchmarks.det_output

Adds round(255 × p) and a cast to the default detector and times both graphs in turn, in CPU seconds of one
thread, the shortest run of each. On a CPU nothing is copied, so only the two nodes are seen; what the saved
bytes are worth on a GPU takes a GPU to tell.
"""

from __future__ import annotations

import json
import sys
import time

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

from edge_lpr.bundle.manifest import load_bundle


def as_uint8(model: onnx.ModelProto, output: str) -> onnx.ModelProto:
    """Returns the model with its output as uint8, 255 being a probability of one."""
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    graph = changed.graph
    graph.initializer.append(numpy_helper.from_array(np.array(255, np.float32), "full"))
    graph.node.append(helper.make_node("Mul", [output, "full"], ["scaled"]))
    graph.node.append(helper.make_node("Round", ["scaled"], ["rounded"]))
    graph.node.append(helper.make_node("Cast", ["rounded"], ["coded"], to=TensorProto.UINT8))
    del graph.output[:]
    graph.output.append(helper.make_tensor_value_info("coded", TensorProto.UINT8, [None, None, None]))
    return changed


def main() -> int:
    """Runs the benchmark; see the module's text."""
    det = load_bundle().det
    model = onnx.load_model_from_string(det.precisions["fp32"].read())
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    sessions = {
        name: ort.InferenceSession(graph.SerializeToString(), options, providers=["CPUExecutionProvider"])
        for name, graph in (("float32", model), ("uint8", as_uint8(model, det.output_name)))
    }
    image = np.random.default_rng(0).integers(0, 256, (1, 640, 1120, 3), np.uint8)
    shortest = dict.fromkeys(sessions, float("inf"))
    for _ in range(15):
        for name, session in sessions.items():
            start = time.process_time()
            session.run(None, {det.input_name: image})
            shortest[name] = min(shortest[name], time.process_time() - start)
    found = {**shortest, "uint8_to_float32": shortest["uint8"] / shortest["float32"]}
    sys.stdout.write(json.dumps({"onnxruntime": ort.__version__, **found}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
