"""An ONNX graph as passes edit it. Needs the package onnx."""
