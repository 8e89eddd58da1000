"""Blocks of records and the bitmaps beside them, encoded and decoded."""
