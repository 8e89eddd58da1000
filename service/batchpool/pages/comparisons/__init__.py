"""What people see of comparisons, as values."""
