"""Accuracy by PaddleOCR's definitions, and whether a difference is more than chance."""
