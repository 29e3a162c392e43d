"""One suite over both databases of the ledger."""
