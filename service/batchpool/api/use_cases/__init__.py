"""Use cases of the API: submit a job or comparison, retry a job, idempotency keys."""
