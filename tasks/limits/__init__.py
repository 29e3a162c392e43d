"""Cluster-wide limits per model."""
