"""Values that the ledger stores: specs, entries, announcements."""
