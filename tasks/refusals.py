"""Why a batch may not be bought, delivered or told of, whatever its rows are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tasks.core.catalogue import Catalogue
from tasks.core.errors import ConfigurationError, InputError
from tasks.core.events import checked_url
from tasks.core.fallbacks import with_fallbacks
from tasks.core.plan_summary import PlanSummary
from tasks.core.request import Request
from tasks.core.retirement import refusal_of_retired
from tasks.core.standard_webhooks import sign
from tasks.services import Services

_REHEARSE = frozenset({"preview", "preview_async"})
"""Providers whose pictures are none that a shop could want."""


@dataclass(frozen=True)
class Refusal:
    """Why nothing may be bought, and what a person does about it."""

    message: str
    mend: str


def refusal_of(services: Services, request: Request, summary: PlanSummary) -> Refusal | None:
    """What speaks against buying from the batch's models."""
    if gone := refusal_of_retired(summary.catalogue.models, summary.to_buy, services.settings.today):
        return Refusal(gone, "plan again with another --model")
    if unpriced := refusal_of_unpriced(summary.unpriced_models, allowed=request.allow_unpriced):
        return Refusal(unpriced, "set the price, or plan again with --allow-unpriced")
    return None


def refusal_of_unpriced(models: Sequence[str], *, allowed: bool) -> str:
    """Why nothing may be bought from models without a price, unless somebody allows it; empty when it may."""
    if not models or allowed:
        return ""
    has, it = ("has", "it") if len(models) == 1 else ("have", "they")
    return (
        f"{', '.join(models)} {has} no price, and what has no price is not free: no budget would hold {it}. Set "
        f"price_usd in models.toml, or add --allow-unpriced (allow_unpriced=True) to count it as nothing"
    )


def refuse_rehearsal(services: Services, catalogue: Catalogue, aliases: Iterable[str], *, allowed: bool) -> None:
    """Rehearsal pictures must not reach a shop by accident. ``aliases`` are the models used. Raises InputError."""
    reached = with_fallbacks(catalogue.models, aliases)
    rehearsed = [alias for alias in reached if catalogue.models[alias].provider in _REHEARSE]
    configured = [name for name in ("S3_BUCKET", "CMS_URL", "CMS_HOOK") if services.settings.get(name)]
    if rehearsed and configured and not allowed:
        raise InputError(
            f"the model {rehearsed[0]!r} draws rehearsal cards, and {' and '.join(configured)} would receive them; "
            f"unset it, choose another --model, or add --rehearse-delivery if that is what you want"
        )


def check_webhook(services: Services, url: str | None) -> None:
    """See that a webhook may be told and what it is told can be signed. Raises InputError and ConfigurationError."""
    if url is None:
        return
    checked_url(url, allow_private=services.settings.preferences.allow_private_webhook_urls)
    secret = services.settings.get("WEBHOOK_SECRET")
    if secret is None:
        raise ConfigurationError(
            "a webhook is told signed events: set WEBHOOK_SECRET, here and for the workers, to what its receiver "
            "verifies them with (for example whsec_ and 32 random bytes in base64)"
        )
    sign(secret, "evt_0", 0, b"")
