"""Runs a batch and writes its records."""
