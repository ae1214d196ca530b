"""Whether a run is well: what is told of it, to whom, and what is done where it is stuck."""
