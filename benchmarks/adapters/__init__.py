"""One small script per peer; each runs in a venv of its own and is driven by JSON lines."""
