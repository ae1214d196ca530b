"""INT8 for ONNX Runtime on a CPU: rewrites, equalization, and Q/DQ that become its integer kernels."""
