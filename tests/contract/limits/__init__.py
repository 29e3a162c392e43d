"""The cluster-wide limits, on a private Valkey."""
