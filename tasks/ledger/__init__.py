"""The ledger: one row per image, the only truth about it."""
