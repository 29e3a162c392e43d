"""The embedded stack: Valkey and a worker, started and stopped with the command."""
