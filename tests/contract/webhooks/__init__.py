"""Telling webhooks, over real sockets."""
