"""When to ask a provider what has become of a job."""

from __future__ import annotations

_LONGEST_SECONDS = 60.0
_LONGEST_BESIDE_WEBHOOKS_SECONDS = 300.0
_GROWTH = 1.5
_MOST_GROWTH = 20


def look_after_seconds(looks: int, typical_seconds: float, webhook_overdue_seconds: float | None) -> float:
    """How long to wait before the next look, after so many.

    The first one is when a call has usually ended, or, with webhooks, when three times that and
    ``webhook_overdue_seconds`` have passed without one. The others are further and further apart.
    """
    growth = _GROWTH ** min(looks, _MOST_GROWTH)
    if webhook_overdue_seconds is not None:
        return min((3 * typical_seconds + webhook_overdue_seconds) * growth, _LONGEST_BESIDE_WEBHOOKS_SECONDS)
    return min(typical_seconds * (growth / 2 if looks else 1), _LONGEST_SECONDS)
