"""Training in PyTorch: detector, recognizer, and the loop that both share."""
