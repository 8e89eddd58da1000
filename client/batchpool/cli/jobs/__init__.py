"""`batchpool jobs`, `job` and what is done with one job."""
