"""Forms that order jobs and comparisons: fields from schemas, text to values; pure."""
