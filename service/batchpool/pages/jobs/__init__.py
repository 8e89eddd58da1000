"""Views of jobs: in lists, and one with all its parts."""
