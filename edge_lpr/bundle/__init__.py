"""The model bundle: read, checked, written."""
