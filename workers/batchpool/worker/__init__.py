"""Takes batches, owns the lease, supervises the runner."""
