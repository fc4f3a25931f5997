"""Vectors, ids and nearest neighbours."""
