"""From an image to plates, from frames to events."""
