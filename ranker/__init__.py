"""Reordering of retrieved candidates."""
