"""Metrics, baselines, comparisons and reports over runs of any recommender."""
