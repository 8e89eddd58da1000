"""gunicorn's threaded worker with a front that gives a thread to whole requests only."""
