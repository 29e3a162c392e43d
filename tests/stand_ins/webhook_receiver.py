"""A shop's own webhook: believes only what the official library verifies, and writes down what it was told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from standardwebhooks import Webhook, WebhookVerificationError

from tests.stand_ins.http_server import Reply, Request, StandIn

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@dataclass(frozen=True)
class Told:
    """One event that was taken. ``id`` is the same when it is told again."""

    id: str
    type: str
    data: dict[str, Any]


class WebhookReceiver(StandIn):
    """``told`` is what was taken, in the order of arrival. While ``reply`` is set, nothing is.

    ``held`` are replies to single events, by type and sku: such an event is not taken either. One that is ``slow``
    is taken, but its answer keeps the sender waiting.
    """

    def __init__(self, secret: str | bytes = SECRET) -> None:
        super().__init__()
        self.told: list[Told] = []
        self.reply: Reply | None = None
        self.held: dict[tuple[str, str | None], Reply] = {}
        self.slow: tuple[str, str] | None = None
        self._webhook = Webhook(secret)

    @property
    def webhook_url(self) -> str:
        """What ``--webhook`` is set to."""
        return f"{self.url}/webhooks/images"

    def answer(self, request: Request) -> Reply:
        """204 for a new event or one that comes again, 401 for one that is not signed well."""
        if self.reply is not None:
            return self.reply
        try:
            event = self._webhook.verify(request.body, dict(request.headers))
        except WebhookVerificationError:
            return Reply(401)
        told = Told(request.headers["webhook-id"], event["type"], event["data"])
        held = self.held.get((told.type, told.data.get("sku")))
        if held is not None:
            return held
        self.told.append(told)
        return Reply(204, delay_seconds=8.0 if (told.type, told.data.get("sku")) == self.slow else 0.0)

    def of_images(self) -> dict[str, list[str]]:
        """What was told of each image, by its key, in the order of arrival."""
        found: dict[str, list[str]] = {}
        for told in self.told:
            if "sku" in told.data:
                found.setdefault(told.data["sku"], []).append(told.data["state"])
        return found

    def of_batches(self) -> list[str]:
        """The types of the other events, in the order of arrival."""
        return [told.type for told in self.told if "sku" not in told.data]
