"""Measurements: each prints ratios against a reference in the same run."""
