"""Comparisons: the same items under several arms, in interleaved rounds of ordinary jobs."""
