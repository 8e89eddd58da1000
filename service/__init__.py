"""The HTTP API: planning, aggregation, and the reconciler that keeps jobs going."""
