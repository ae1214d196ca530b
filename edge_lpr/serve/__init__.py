"""`edge-lpr serve`: cameras read day and night, by a machine nobody looks at."""
