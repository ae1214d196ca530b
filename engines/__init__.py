"""ONNX to TensorRT engines: build, profiles, timing cache, manifest."""
