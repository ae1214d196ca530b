"""Where results go: one file per output, each of which registers itself."""
