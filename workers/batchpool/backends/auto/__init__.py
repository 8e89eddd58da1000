"""Backend auto: measures a task and chooses how to run it."""
