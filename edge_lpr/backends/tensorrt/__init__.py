"""TensorRT through pycuda."""
