"""One item: run it, encode its result, show that it runs."""
