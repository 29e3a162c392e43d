"""Waves are published in batches of messages; what arrives is what the canvas would have sent."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

from tasks.core import routing
from tests.integration.stack import Stack, rows
from tests.integration.test_graph import waiting

IDS = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")

DISPATCHES = """\
from tasks import graph
from tasks.celery import app
from tasks.core.dispatch import REMAINING, Dispatch, Ticket
from tasks.core.states import State
app.loader.import_default_modules()
states = [State.QUEUED, State.GENERATED, State.UPLOADED, State.QUEUED]
dispatches = [
    Dispatch(Ticket(n, 1), "b-1", "quick", REMAINING[state], f"Spring · cup-{n}") for n, state in enumerate(states)
]
"""


def plain(messages: list[dict[str, Any]]) -> str:
    """Messages as text, with each id replaced by the number of its first appearance."""
    decoded = [{**message, "body": json.loads(base64.b64decode(message["body"]))} for message in messages]
    numbers: dict[str, str] = {}
    text = json.dumps(decoded, sort_keys=True, indent=1)
    return IDS.sub(lambda match: numbers.setdefault(match[0], f"id-{len(numbers)}"), text)


def everything(stack: Stack) -> dict[str, str]:
    """All messages and chord sizes in the broker."""
    found = {}
    for queue in (routing.model_queue("quick"), routing.DELIVER_QUEUE):
        for priority, messages in waiting(stack, queue).items():
            found[f"{queue} {priority}"] = plain(messages)
    keys = list(stack.redis.scan_iter("celery-taskset-meta*"))
    # The time to live runs while the test does.
    found["chords"] = repr(sorted((stack.redis.get(key), round(stack.redis.ttl(key) / 60)) for key in keys))
    return found


def test_the_messages_are_the_canvases_own(stack: Stack) -> None:
    """Field by field, for chains of three steps, of two and of one: only the ids are others."""
    stack.python(DISPATCHES + "graph.wave('b-1', dispatches).apply_async()")
    drawn = everything(stack)
    stack.redis.flushdb()
    stack.python(DISPATCHES + "graph.publish(dispatches)")
    sent = everything(stack)
    assert list(sent) == list(drawn) == ["imagechord.quick 6", "imagechord.deliver 0", "chords"]
    process = re.compile(r"gen\d+@")
    for queue, messages in drawn.items():
        assert process.sub("gen@", sent[queue]) == process.sub("gen@", messages)


def test_images_of_several_batches_are_sent_in_turn(stack: Stack) -> None:
    """Each batch has a chord of its own, and their messages stand in the queue as they were released."""
    batches = [stack.submit(rows(f"{name}-{n}" for n in range(4))) for name in "ab"]
    stack.python(
        "from tasks import graph; from tasks.services import current_services;"
        "graph.release(current_services(), 'quick')"
    )
    chords = []
    for message in waiting(stack, routing.model_queue("quick"))[routing.LAST]:
        _args, _kwargs, embedded = json.loads(base64.b64decode(message["body"]))
        options = embedded["chain"][0]["options"]
        chords.append((options["chord"]["args"][0], options["group_id"], options["group_index"]))
    assert len({group for _batch, group, _index in chords}) == 2
    assert sorted((batch, index) for batch, _group, index in chords) == sorted(
        (b, n) for b in batches for n in range(4)
    )
    for first, second in zip(chords[::2], chords[1::2], strict=True):
        assert first[0] != second[0], "shares are interleaved"
    sizes = [stack.redis.get(key) for key in stack.redis.scan_iter("celery-taskset-meta-*.s")]
    assert sizes == [b"4", b"4"]


def test_a_wave_takes_a_few_commands_and_no_subscription(stack: Stack) -> None:
    """Hundreds of messages go out in some round trips, by one client."""
    stack.submit(rows(f"cup-{n}" for n in range(300)))
    before = stack.redis.info("stats")
    stack.python(
        "from tasks import graph; from tasks.services import current_services; from tasks.celery import app;"
        "app.loader.import_default_modules();"
        "assert graph.release(current_services(), 'quick') == 300"
    )
    after = stack.redis.info("stats")
    commands = stack.redis.info("commandstats")
    assert isinstance(before, dict)
    assert isinstance(after, dict)
    assert isinstance(commands, dict)
    assert commands["cmdstat_lpush"]["calls"] == 300
    assert "cmdstat_subscribe" not in commands
    assert after["total_connections_received"] - before["total_connections_received"] <= 6
    assert after["total_reads_processed"] - before["total_reads_processed"] <= 200


def test_a_broker_that_fails_on_the_way_leaves_the_rest_to_the_sweep(stack: Stack) -> None:
    """What could not be sent is queued in the ledger, and the process can go on publishing."""
    stack.submit(rows(f"cup-{n}" for n in range(150)))
    printed = stack.python(
        "import redis\n"
        "from tasks import graph, publishing\n"
        "from tasks.services import current_services\n"
        "from tasks.ledger.reading import list_batches, state_counts\n"
        "services = current_services()\n"
        "services.redis.config_set('maxmemory', services.redis.info('memory')['used_memory'] + 150_000)\n"
        "services.redis.config_set('maxmemory-policy', 'noeviction')\n"
        "try:\n"
        "    graph.release(services, 'quick')\n"
        "except Exception as error:\n"
        "    print('failed')\n"
        "services.redis.config_set('maxmemory', 0)\n"
        "(batch,) = list_batches(services.ledger)\n"
        "print(dict(state_counts(services.ledger, batch.id)))\n"
        "graph.summarise(batch.id)\n"
        "print(services.redis.llen('imagechord.control'), services.redis.llen('imagechord.quick\\x06\\x166') < 150)\n"
    )
    assert printed.splitlines()[0] == "failed"
    assert "'queued'>: 150" in printed
    assert printed.splitlines()[-1] == "1 True"
