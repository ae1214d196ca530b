"""Rendered plates, plates painted into photos, and what a camera does to them."""
