"""Candidates for all users as a nightly job: events in, partitioned Parquet out."""
