"""Accuracy, speed and memory, measured beside peers; results/ holds what was measured."""
