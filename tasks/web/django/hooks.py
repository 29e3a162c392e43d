"""The completion hook that sends Django's signal."""

from __future__ import annotations

from tasks.core.published import PublishedPicture
from tasks.web.django.signals import image_published


def send_signal(picture: PublishedPicture) -> str:
    """Send :data:`tasks.web.django.signals.image_published`; returns who received it.

    Raises LookupError when nobody listens, for then no shop would ever show the picture, and what a receiver raises.
    """
    received = image_published.send(sender=PublishedPicture, picture=picture)
    if not received:
        raise LookupError("nobody receives image_published; connect a receiver in an AppConfig.ready")
    return f"received by {', '.join(getattr(each, '__qualname__', repr(each)) for each, _answer in received)}"
