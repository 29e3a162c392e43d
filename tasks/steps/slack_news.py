"""``imagechord.slack_news``: tells what of a batch is held, and keeps up to date what can be updated in Slack.

Asked for by whoever puts a hold on, and by the sweep while there is something to update.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import Any

from tasks import progress
from tasks.celery import app
from tasks.core import routing
from tasks.core.errors import Invalid, RateLimited
from tasks.delivery.slack_holds import lifted
from tasks.delivery.slack_start import over, superseded, under_way
from tasks.ledger import following
from tasks.ledger.following import Following, FollowingStart
from tasks.ledger.summing import UPDATE_EVERY
from tasks.services import Services, current_services
from tasks.steps.ending import announce_if_resting
from tasks.steps.held import tell_holds
from tasks.steps.saying import words_of

logger = logging.getLogger(__name__)

_AFTER_TROUBLE = timedelta(minutes=5)


def tell_news(services: Services, batch_id: str) -> None:
    """Tell what there is to tell of a batch at the moment."""
    if tell_holds(services, batch_id):
        announce_if_resting(services, batch_id)  # the summary waits for it
    update_start(services, batch_id)
    for each in following.claim_lifted(services.ledger, batch_id):
        _update(services, each, _lifted(services, each), None)


def update_start(services: Services, batch_id: str) -> None:
    """Let the start message say how far the batch is, if that is due: the last time when its round is over."""
    for each in following.claim_starts(services.ledger, batch_id):
        message, is_last = _how_far(services, each), each.over or each.superseded
        _update(services, each, message, None if is_last else datetime.now(UTC) + UPDATE_EVERY)


def _how_far(services: Services, start: FollowingStart) -> dict[str, Any]:
    summary = progress.summarise(services, start.batch_id)
    page_url, language = services.page_url(start.batch_id), services.settings.preferences.language
    if start.superseded:
        return superseded(summary, page_url=page_url, language=language)
    if start.over:
        return over(summary, page_url=page_url, language=language)
    return under_way(summary, progress.of_summary(services, summary), page_url=page_url, language=language)


def _lifted(services: Services, each: Following) -> dict[str, Any]:
    preferences = services.settings.preferences
    name = progress.summarise(services, each.batch_id).name
    said = dict(each.message)
    return lifted(name, said, datetime.now(UTC), language=preferences.language, timezone=preferences.timezone)


def _update(services: Services, each: Following, message: dict[str, Any], next_at: datetime | None) -> None:
    """Put the message in the place of the posted one, and write down when it may be updated next."""
    try:
        if message != each.message:
            services.notifier.update(each.posted, message)
    except RateLimited as error:
        later = datetime.now(UTC) + timedelta(seconds=error.retry_after_seconds or _AFTER_TROUBLE.total_seconds())
        following.settle(services.ledger, each, each.message, later)
        following.put_off(services.ledger, later)
    except Invalid as error:  # somebody has deleted it, or it is too old
        logger.warning("%s: a message in Slack cannot be updated any more: %s", each.batch_id, error)
        following.settle(services.ledger, each, each.message, None)
    except Exception as error:  # noqa: BLE001 – no trouble of Slack's is one of the batch
        logger.warning("%s: Slack did not take an update: %s", each.batch_id, words_of(error))
        following.settle(services.ledger, each, each.message, datetime.now(UTC) + _AFTER_TROUBLE)
    else:
        following.settle(services.ledger, each, message, next_at)


@app.task(name=routing.SLACK_NEWS)
def slack_news(batch_id: str) -> None:
    """Tell a batch's news."""
    tell_news(current_services(), batch_id)
