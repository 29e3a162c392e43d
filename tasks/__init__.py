"""imagechord: rows in, published pictures out, as a Celery task graph.

This module stays empty on purpose: ``celery -A tasks`` looks for :mod:`tasks.celery`, and a project that
imports ``tasks.batches`` must not pay for the worker's half.
"""
