"""Submit jobs: one, several in one request, or one whose items are sent as lines."""
