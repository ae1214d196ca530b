"""PaddleOCR's networks, each written once as data, and what builds them in Paddle and PyTorch."""
