"""Analysis of a comparison: pure functions from measured facts to verdicts."""
