"""What a training is to do: PaddleOCR's YAML, read as it is, and what of it is supported."""
