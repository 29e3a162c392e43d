"""Builds that are broken on purpose: a worker started with ``-I tests.chaos.sabotage.…`` must make gates fail."""
