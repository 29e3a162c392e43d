"""Ways from the admin to the batch pages."""

from __future__ import annotations

from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html


def page_url(path: str) -> str | None:
    """Where a batch page is in this project; ``None`` where :mod:`tasks.web.django.urls` is not included."""
    try:
        return f"{reverse('imagechord:site', args=[''])}{path}"
    except NoReverseMatch:
        return None


def link(url: str | None, text: str) -> str:
    """A link, or the text alone."""
    linked: str = format_html('<a href="{}">{}</a>', url, text) if url else text
    return linked
