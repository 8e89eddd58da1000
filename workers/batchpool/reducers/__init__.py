"""Reduce the values of a job to one figure or table: exact, mergeable, of bounded size.

`Reduction` takes the values of one reducer block by block, travels as bytes, and merges with those
of other batches. What it comes to depends on the items alone, not on the order in which they came.
"""
