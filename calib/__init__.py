"""Labels, metrics, the calibration set, and FP16 and INT8 (Q/DQ) ONNX (host half)."""
