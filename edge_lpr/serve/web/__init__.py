"""The page and the interface."""
