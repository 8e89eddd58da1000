"""Run one batch of tasks on one machine, with the concurrency backend that the job names."""
