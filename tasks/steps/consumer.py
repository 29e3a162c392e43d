"""The worker's consumer: cluster-wide limits before a pool slot is taken, and no message ever discarded."""

from __future__ import annotations

import logging
from collections.abc import Callable
from math import ceil
from time import monotonic
from typing import Any

from celery.worker import state
from celery.worker.consumer import Consumer
from kombu.transport.redis import Transport

from tasks.core import routing
from tasks.core.dispatch import Ticket
from tasks.core.limits import CMS
from tasks.core.retry import MAX_COUNTDOWN_SECONDS
from tasks.ledger.dispatching import give_back
from tasks.limits.bucket import Bucket
from tasks.limits.epoch import renew_epoch
from tasks.limits.limiter import Grant
from tasks.services import current_services
from tasks.steps import control  # noqa: F401 – registers the command
from tasks.steps.queues import OpenQueues, ShortPolls
from tasks.steps.request import StepRequest
from tasks.steps.turn import hand_over

logger = logging.getLogger(__name__)

_SECONDS_AHEAD = 1.0
"""How much of a model's rate a worker holds: more than passes until a queue that was left out is looked at again."""
_CMS_SECONDS_AHEAD, _CMS_LEAST = 10.0, 16
"""Patches share their queue with uploads, which are let through; a picture behind so many patches waits anyway."""
_LOST_SLOT_SECONDS = 1.0
_LOOK_AGAIN_SECONDS, _LOOK_OFTEN_SECONDS = 0.25, 0.1

# The stubs leave out the methods that a rate limit passes through.
_Consumer: Any = Consumer


class LimitedConsumer(_Consumer):  # type: ignore[misc]
    """Celery's own, with five changes.

    * The limits of models and of the CMS live in Redis and are shared by the cluster.
    * One timer per bucket. Celery keeps one per held message, and its event loop then falls to about one task
      a second on the prefork and threads pools (measured: 20/s configured, 1/s delivered).
    * A held message does not count towards prefetch, so one model's limit never starves the other queues.
    * What this worker could not use soon stays in the broker, where an idle worker finds it.
    * Nothing is asked of a limit while the pool is full: a call that was granted starts at once.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        self._by_queue: dict[str, Bucket] = {}
        self._for_slot: dict[str, Bucket] = {}
        self._messages_lost = False
        # So long a queue that was left out stays so after its bucket has room again. Kombu's option for it,
        # `polling_interval`, would also make a worker without an event loop (gevent) sleep between two looks.
        Transport.brpop_timeout = _LOOK_AGAIN_SECONDS  # type: ignore[assignment]
        super().__init__(*args, **options)
        OpenQueues.is_open = self._has_room
        StepRequest.slot_freed = self._slot_freed

    def bucket_for_task(self, type: Any) -> Any:  # noqa: A002 Celery's name
        """A bucket for each model's task, even without a limit: it also carries the model's pauses."""
        name = routing.limited_name(type.name)
        if name is None or name not in current_services().limits.limited:
            return super().bucket_for_task(type)
        present = self.task_buckets.get(type.name)
        if isinstance(present, Bucket):
            return present
        bucket = self._by_queue[routing.limited_queue(name)] = Bucket(current_services().limits, name)
        return bucket

    def limits_changed(self) -> None:
        """Let what waits go by the new limits now."""
        for bucket in self._by_queue.values():
            with bucket.lock:
                bucket.ask_again()
                self._drain(bucket)

    def _limit_task(self, request: Any, bucket: Any, tokens: int) -> None:
        if not isinstance(bucket, Bucket):
            super()._limit_task(request, bucket, tokens)
            return
        self.qos.increment_eventually()
        self._put(bucket, request)

    def _limit_post_eta(self, request: Any, bucket: Any, tokens: int) -> None:
        if not isinstance(bucket, Bucket):
            super()._limit_post_eta(request, bucket, tokens)
            return
        # The wait for the ETA has raised prefetch already; it is lowered when the request leaves the bucket.
        self._put(bucket, request)

    def _put(self, bucket: Bucket, request: Any) -> None:
        with bucket.lock:
            # As Ticket.member has it; a message with other arguments fails in its task, not here.
            bucket.waiting.append((request, ":".join(map(str, (*request.args, *request.kwargs.values())))))
            self._drain(bucket)

    def _drain(self, bucket: Bucket) -> None:
        """Start what may start.

        What has to wait for more than a minute goes to the pool without a grant: the task gives it to the ledger.
        """
        with bucket.lock:
            while bucket.waiting:
                if self._free_slots() <= 0:
                    self._for_slot[bucket.name] = bucket
                    self._look_again(bucket, _LOST_SLOT_SECONDS)
                    return
                answer = bucket.ask()
                if isinstance(answer, Grant):
                    self._move_to_pool(bucket, answer)
                elif answer.seconds > MAX_COUNTDOWN_SECONDS and answer.reason != "rate":
                    self._move_to_pool(bucket, None)
                else:
                    self._look_again(bucket, bucket.wait_seconds())
                    return

    def _move_to_pool(self, bucket: Bucket, grant: Grant | None) -> None:
        request, _member = bucket.waiting.popleft()
        hand_over(request.delivery_info, grant)
        self._limit_move_to_pool(request)
        self.qos.decrement_eventually()

    def _look_again(self, bucket: Bucket, seconds: float) -> None:
        """One timer per bucket, for the earlier of two moments."""
        due = monotonic() + seconds
        if bucket.timer is not None:
            if bucket.timer_due <= due:
                return
            self.timer.cancel(bucket.timer)
        bucket.timer, bucket.timer_due = self.timer.call_after(seconds, self._on_timer, (bucket,)), due

    def _on_timer(self, bucket: Bucket) -> None:
        with bucket.lock:
            bucket.timer = None
            self._drain(bucket)

    def _free_slots(self) -> int:
        return int(self.pool.num_processes) - len(state.reserved_requests)

    def _slot_freed(self, task_name: str) -> None:
        """A task has left the pool, in one of its threads perhaps: use the slot, and the call in flight it was."""
        own = self.task_buckets.get(task_name)
        if isinstance(own, Bucket) and own.call_ended():
            self._soon(self._drain, own)
        if self._for_slot:
            self._soon(self._use_slot)

    def _use_slot(self) -> None:
        """Whoever has waited longest for a slot is asked first."""
        for name in list(self._for_slot):
            if self._free_slots() <= 0:
                return
            bucket = self._for_slot.pop(name, None)
            if bucket is not None:
                self._drain(bucket)

    def _soon(self, act: Callable[..., None], *args: Any) -> None:
        """In the event loop's thread, which it wakes; at once where there is none (gevent)."""
        if self.hub is not None:
            self.hub.call_soon(act, *args)
        else:
            act(*args)

    def _has_room(self, queue: str) -> bool:
        """Whether to fetch from a queue: not when its bucket holds what the next second can use, or the pool."""
        bucket = self._by_queue.get(queue)
        if bucket is None:
            return True
        if bucket.name == CMS:
            ahead = ceil(_CMS_SECONDS_AHEAD / bucket.interval_seconds) if bucket.interval_seconds else 0
            return len(bucket.waiting) < max(ahead, _CMS_LEAST)
        room = self._free_slots()
        if bucket.interval_seconds:
            room = min(room, ceil(_SECONDS_AHEAD / bucket.interval_seconds))
        return len(bucket.waiting) < room

    def loop_args(self) -> Any:
        """What the loop gets, once there is a connection; without an event loop, one that is looked at often."""
        if self._messages_lost:
            # The broker keeps them for hours, for whoever fetched them: for nobody.
            renew_epoch(current_services().redis)
            self._messages_lost = False
        consumer, connection, *rest = super().loop_args()
        brisk = connection if self.hub is not None else ShortPolls(connection, _LOOK_OFTEN_SECONDS)
        return (consumer, brisk, *rest)

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        """Survive the loss of Redis with messages in hand.

        Kombu 5.7 forgets to which connection a lost channel belonged, trips over that when it closes the channel
        (AttributeError, which would end the worker), and again at each later acknowledgement.
        """
        connection, transport = self.connection, self.connection.transport
        self._messages_lost = True
        try:
            super().on_connection_error_after_connected(exc)
        except AttributeError:
            logger.debug("the lost connection could not be closed", exc_info=True)
        finally:
            transport.client = connection

    def on_close(self) -> None:
        """Celery drops all timers and held messages here: let the buckets know, or they would wait for ever."""
        super().on_close()
        self._for_slot.clear()
        for bucket in self._by_queue.values():
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
