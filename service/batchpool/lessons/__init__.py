"""Lessons: the notebook as six guided experiments; definitions and readings, pure.

A lesson is a comparison: its ways of running the same tasks are the arms of an ordinary
`POST /v1/comparisons`, which interleaves them on a reserved worker. What was seen is read from the
comparison's samples and from the records of one round per way.
"""
