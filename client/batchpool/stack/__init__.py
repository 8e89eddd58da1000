"""A local stack: Redis, API, reconciler and workers on one machine."""
