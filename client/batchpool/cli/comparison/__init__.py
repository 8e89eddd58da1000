"""`batchpool compare`: order, follow, show and list comparisons."""
