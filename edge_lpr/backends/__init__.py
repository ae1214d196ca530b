"""Inference backends: one small protocol, one module each."""
