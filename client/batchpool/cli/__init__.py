"""The command `batchpool`."""
