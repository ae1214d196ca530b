"""Rendered plates, crops and street scenes, for training without photos."""
