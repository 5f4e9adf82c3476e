"""Measurements: speed, memory, and how much there is to read."""
