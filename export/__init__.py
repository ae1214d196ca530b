"""Paddle models to one verified ONNX bundle (host half)."""
