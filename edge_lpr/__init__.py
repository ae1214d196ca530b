"""Licence-plate reading on the edge."""
