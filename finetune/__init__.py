"""Rendered plates and training in PyTorch; weights in and out as PaddleOCR's .pdparams (host half)."""
