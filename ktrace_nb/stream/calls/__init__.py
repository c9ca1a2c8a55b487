"""Calls of kernel functions: from entries and returns to frames, text and files."""
