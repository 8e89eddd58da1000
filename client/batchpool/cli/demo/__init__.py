"""`batchpool demo`: run it, report it, print it and write it as a file."""
