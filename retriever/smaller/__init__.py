"""Encoders that are smaller and faster than the one they learn from."""
