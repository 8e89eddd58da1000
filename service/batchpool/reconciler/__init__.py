"""Keeps jobs going; hosts the comparison driver."""
