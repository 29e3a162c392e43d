"""The benchmark's stand-in servers: what they enforce, count and answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest

from tests.bench.servers import Connection, FarEnds
from tests.bench.world import Limiter

T = TypeVar("T")
Conversation = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[T]]


def test_a_token_bucket_keeps_one_second_of_tokens() -> None:
    """Of a burst at 600 a minute ten are granted; after that one comes free every tenth of a second."""
    limiter = Limiter(600)

    granted = sum(limiter.take(1000.0) == 0.0 for _call in range(30))

    assert granted == 10
    assert limiter.take(1000.0) == pytest.approx(0.1)
    assert limiter.take(1000.11) == 0.0


def test_a_fixed_window_starts_anew_at_its_boundary() -> None:
    """All that is left of a window may be used at once; the wait that is told ends with the window."""
    limiter = Limiter(60, "fixed_window", first_window_seconds=20.0, started_at=1000.0)

    granted = sum(limiter.take(1005.0) == 0.0 for _call in range(70))

    assert granted == 20
    assert limiter.take(1005.0) == pytest.approx(15.0)
    assert sum(limiter.take(1020.0) == 0.0 for _call in range(70)) == 60


def converse(talk: Conversation[T]) -> tuple[T, FarEnds]:
    """One connection to a server of its own; returns what the talk returned, and what the server has seen."""

    async def run() -> tuple[T, FarEnds]:
        ends = FarEnds()
        server = await asyncio.get_running_loop().create_server(lambda: Connection(ends), "127.0.0.1", 0)
        async with server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname()[:2])
            result = await talk(reader, writer)
            writer.close()
            await writer.wait_closed()
        return result, ends

    return asyncio.run(run())


async def read_answer(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """The status line and the body."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0])
    return head.partition(b"\r\n")[0], await reader.readexactly(length)


def test_a_request_in_pieces_is_one_request() -> None:
    """However the bytes arrive, each body is answered once."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> list[bytes]:
        bodies = []
        for _turn in range(2):
            request = b'PATCH /cms/api/products/A-1 HTTP/1.1\r\nContent-Length: 17\r\n\r\n{"image_url":"u"}'
            for byte in request:
                writer.write(bytes([byte]))
                await asyncio.sleep(0)
            bodies.append((await read_answer(reader))[1])
        return bodies

    bodies, ends = converse(talk)

    assert bodies == [b'{"image_url":"u"}'] * 2
    assert list(ends.world.patched_at) == ["A-1"]


def test_a_large_upload_is_counted_once_and_not_kept() -> None:
    """An object is stored when its last byte has come, after the go-ahead that S3 clients wait for."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        body = b"\r\n\r\n" * 1_000_000  # nothing of it may be taken for a request
        writer.write(b"PUT /bench/a.png HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(body))
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(body)
        assert await read_answer(reader) == (b"HTTP/1.1 200 OK", b"")
        writer.write(b"PATCH /cms/next HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}")
        return (await read_answer(reader))[1]

    next_answer, ends = converse(talk)

    assert next_answer == b"{}"
    assert ends.world.objects == 1


def test_charges_are_counted_by_prompt() -> None:
    """The same prompt twice is money spent twice; a refused call is none."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> list[bytes]:
        reset = b'{"per_minute": 60, "algorithm": "fixed_window", "window_seconds": 2, "first_window_seconds": 2}'
        writer.write(b"POST /reset HTTP/1.1\r\nContent-Length: %d\r\n\r\n%b" % (len(reset), reset))
        statuses = [(await read_answer(reader))[0]]
        for _turn in range(3):
            writer.write(b'POST /images HTTP/1.1\r\nContent-Length: 14\r\n\r\n{"prompt":"p"}')
            statuses.append((await read_answer(reader))[0])
        return statuses

    statuses, ends = converse(talk)

    assert [status.split()[1] for status in statuses] == [b"200", b"200", b"200", b"429"]
    assert ends.world.stats()["charged_twice"] == 1
    assert ends.world.stats()["refused"] == 1
    assert ends.world.in_flight == 0
