"""What people see: views of the ledger as values, templates, and static files."""
