"""Pages that explain: lessons and the reference of the API, with code in colour; pure."""
