"""One metric a file; `measure.py` knows them by name."""
