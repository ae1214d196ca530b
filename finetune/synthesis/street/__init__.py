"""The sample street: a short drawn video with rendered plates, and the truth beside it."""
