"""One file a network. Every module here is imported by the registry, and registers what it holds."""
