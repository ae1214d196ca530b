"""FP16 and INT8 (Q/DQ) ONNX models, and the search for what stays in float."""
