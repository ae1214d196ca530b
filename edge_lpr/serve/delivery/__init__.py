"""What events are sent to: each output with its own queue on disk."""
