"""Tests of the pages in a browser; a package, so that they can share one and end it together."""
