"""The worker's consumer: cluster-wide limits before a pool slot is taken, and no message ever discarded."""

from __future__ import annotations

import logging
from typing import Any

from celery.utils.time import rate
from celery.worker.consumer import Consumer

from tasks.core import routing
from tasks.core.dispatch import Ticket
from tasks.ledger.dispatching import give_back
from tasks.limits.bucket import ClusterBucket
from tasks.services import current_services

logger = logging.getLogger(__name__)

# The stubs leave out the methods that a rate limit passes through.
_Consumer: Any = Consumer


class LimitedConsumer(_Consumer):  # type: ignore[misc]
    """Celery's own, with three changes.

    * A model's bucket lives in Redis and is shared by the cluster.
    * One timer per bucket. Celery keeps one per held message, and its event loop then falls to about one task
      a second on the prefork and threads pools (measured: 20/s configured, 1/s delivered).
    * A held message does not count towards prefetch, so one model's limit never starves the other queues.
    """

    def bucket_for_task(self, type: Any) -> Any:  # noqa: A002 Celery's name
        """A bucket for each model's task, even without a rate: it also carries the model's pauses."""
        if not type.name.startswith(f"{routing.GENERATE}."):
            return super().bucket_for_task(type)
        per_second = rate(type.rate_limit) if type.rate_limit else 0.0
        return ClusterBucket(current_services().redis, type.name.removeprefix(f"{routing.GENERATE}."), per_second)

    def _limit_task(self, request: Any, bucket: Any, tokens: int) -> None:
        if not isinstance(bucket, ClusterBucket):
            super()._limit_task(request, bucket, tokens)
            return
        with bucket.lock:
            self.qos.increment_eventually()
            bucket.add((request, tokens))
            self._drain(bucket)

    def _limit_post_eta(self, request: Any, bucket: Any, tokens: int) -> None:
        if not isinstance(bucket, ClusterBucket):
            super()._limit_post_eta(request, bucket, tokens)
            return
        with bucket.lock:
            # The wait for the ETA has raised prefetch already; it is lowered when the request leaves the bucket.
            bucket.add((request, tokens))
            self._drain(bucket)

    def _drain(self, bucket: ClusterBucket) -> None:
        with bucket.lock:
            while bucket.contents and bucket.can_consume():
                request, _tokens = bucket.pop()
                self._limit_move_to_pool(request)
                self.qos.decrement_eventually()
            if bucket.contents and bucket.timer is None:
                bucket.timer = self.timer.call_after(bucket.expected_time(), self._on_timer, (bucket,))

    def _on_timer(self, bucket: ClusterBucket) -> None:
        with bucket.lock:
            bucket.timer = None
            self._drain(bucket)

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        """Survive the loss of Redis with messages in hand.

        Kombu 5.7 forgets to which connection a lost channel belonged, trips over that when it closes the channel
        (AttributeError, which would end the worker), and again at each later acknowledgement.
        """
        connection, transport = self.connection, self.connection.transport
        try:
            super().on_connection_error_after_connected(exc)
        except AttributeError:
            logger.debug("the lost connection could not be closed", exc_info=True)
        finally:
            transport.client = connection

    def on_close(self) -> None:
        """Celery drops all timers and held messages here: let the buckets know, or they would wait for ever."""
        super().on_close()
        for bucket in self.task_buckets.values():
            if isinstance(bucket, ClusterBucket):
                bucket.timer = None

    def on_unknown_task(self, body: Any, message: Any, exc: Exception) -> None:
        """Give an image of a model that this worker does not know back to the ledger."""
        name = message.headers.get("task", "")
        if not name.startswith(f"{routing.GENERATE}."):
            super().on_unknown_task(body, message, exc)
            return
        (image_id, dispatch_no), _kwargs, _embed = message.payload
        give_back(current_services().ledger, Ticket(image_id, dispatch_no))
        message.ack()
