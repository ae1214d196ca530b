"""Labelled images, from whichever format, as one kind of sample."""
