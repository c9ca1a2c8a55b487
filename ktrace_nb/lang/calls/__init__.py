"""Patterns of functions whose calls are recorded."""
