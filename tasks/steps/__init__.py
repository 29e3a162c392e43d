"""The Celery tasks: thin; each parses ids, calls one plain function, records."""
