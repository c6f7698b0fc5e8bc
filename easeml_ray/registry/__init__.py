"""Datasets, versions, pillars and capabilities."""
