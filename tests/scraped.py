"""Metrics as Prometheus reads them."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import Metric


def value(families: Iterable[Metric], sample: str, /, **labels: str) -> float:
    """The sum of the samples of this name with these labels, among others perhaps. Raises KeyError for none."""
    samples = [each for family in families for each in family.samples if each.name == sample]
    values = [each.value for each in samples if labels.items() <= each.labels.items()]
    if not values:
        raise KeyError(sample, labels)
    return sum(values)
