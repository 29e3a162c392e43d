"""The pure part: no Celery, no Redis, no HTTP, no clock, no randomness. Everything here is a value or a decision."""
