"""Ends of calls that Redis did not hear of: nobody waits for them until they expire."""

from __future__ import annotations

from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tasks.core.catalogue import Limits
from tasks.core.limits import Limited
from tasks.limits.limiter import Grant, Limiter, Wait
from tests.contract.limits.takers import MODEL, member
from tests.stand_ins.fault_proxy import FaultProxy


def test_what_redis_did_not_hear_is_told_with_the_next_question(client: redis.Redis, valkey_url: str) -> None:
    """Redis is away when one call ends and one is not made: once back, two others start, and the limit still holds."""
    socket = Path(valkey_url.removeprefix("unix://").partition("?")[0])
    with FaultProxy(socket) as proxy, redis.Redis(port=proxy.port, retry=Retry(NoBackoff(), 0)) as through:
        limiter = Limiter(through, [Limited(MODEL, Limits(in_flight=2), 600.0)])
        first, second = member(), member()
        grant, _interval = limiter.take(MODEL, first)
        assert isinstance(grant, Grant)
        assert isinstance(limiter.take(MODEL, second)[0], Grant)
        with proxy.refusing():
            with pytest.raises(redis.ConnectionError):
                limiter.refund(MODEL, first, grant)
            with pytest.raises(redis.ConnectionError):
                limiter.release(MODEL, second)
        answers = [limiter.take(MODEL, member())[0] for _ in range(3)]
        assert [type(answer) for answer in answers] == [Grant, Grant, Wait]
