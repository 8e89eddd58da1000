"""What the runs of a comparison say: pure functions from measured facts to verdicts."""
