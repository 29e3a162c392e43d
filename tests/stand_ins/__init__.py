"""Servers that stand in for the outside world: real sockets on 127.0.0.1, port 0, each a context manager."""
