"""The batch pages: as they are answered, and as a browser shows them."""
