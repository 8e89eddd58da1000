"""The ledger: what Redis holds about jobs, and the only truth about them."""
