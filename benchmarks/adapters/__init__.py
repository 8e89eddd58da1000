"""Adapters: one small script per peer, run in its own venv and controlled by JSON lines."""
