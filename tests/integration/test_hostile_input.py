"""What strangers put into messages, rows and names does nothing but stand where it is shown, as text."""

from __future__ import annotations

import csv
import html
from pathlib import Path

import pytest

from tasks.core import routing
from tasks.core.errors import InputError
from tasks.core.states import State
from tests.integration.conftest import MakeStack
from tests.integration.stack import Stack, prompt_of, rows
from tests.integration.test_secrets import call
from tests.stand_ins.anycap_api import AnycapApi, Fault
from tests.stand_ins.slack import SlackStandIn
from tests.waiting import wait_until

HOSTILE = """<script>alert(1)</script><!channel> & *b* <https://evil.example|x> $(touch owned) `touch owned` {sku}"""
FORMULA = "=HYPERLINK(1)"


class Bomb:
    """Unpickled, it would make a file."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return (open, (str(self.target), "w"))


def test_nothing_but_json_is_read(stack: Stack) -> None:
    """Messages that carry code, or arguments that no step has, are thrown away; the worker goes on with its work."""
    worker = stack.start_worker()
    owned = stack.folder / "owned"
    for queue in (routing.CONTROL_QUEUE, routing.DELIVER_QUEUE, routing.model_queue("quick")):
        stack.shop.send_task(routing.SWEEP, args=(Bomb(owned),), queue=queue, serializer="pickle")
        stack.shop.send_task(
            routing.SWEEP, args=("!!python/object/apply:os.getcwd []",), queue=queue, serializer="yaml"
        )
        stack.shop.send_task("os.system", args=("touch owned",), queue=queue)
    stack.shop.send_task(routing.UPLOAD_S3, args=("1; DROP TABLE imagechord_image", []), queue=routing.DELIVER_QUEUE)
    stack.shop.send_task(routing.generate_task("quick"), args=({"a": "b"}, None), queue=routing.model_queue("quick"))
    stack.shop.send_task(routing.generate_task("quick"), kwargs={"x": 1}, queue=routing.model_queue("quick"))
    assert set(stack.states(stack.run(rows(["cup-1", "cup-2"]))).values()) == {State.PUBLISHED}
    wait_until(lambda: worker.words.count("Refusing to deserialize") >= 6, 30, "six refusals")
    assert worker.process.poll() is None
    assert not owned.exists()


@pytest.mark.parametrize(
    "sku",
    ["../../x", "/etc/x", "a\x00b", "a\nb", "a\u3000b", "x" * 1000, "a/../../b", "a\\b", ""],
    ids=["up", "absolute", "nul", "line", "wide space", "long", "through", "backslash", "empty"],
)
def test_a_key_that_would_escape_starts_nothing(stack: Stack, api: AnycapApi, sku: str) -> None:
    """It is refused in the plan: nothing is written, bought or sent."""
    with pytest.raises(InputError):
        stack.submit([{"sku": sku, "name": "x"}])
    assert not api.calls
    assert not (stack.folder / "output").exists()


def test_a_prefix_that_would_escape_publishes_nothing(make_stack: MakeStack) -> None:
    """The last guard stands at the store, whatever setting the key was made with."""
    stack = make_stack(S3_PREFIX="../../outside")
    stack.start_worker()
    batch_id = stack.run(rows(["cup"]))
    assert stack.states(batch_id) == {"cup": State.FAILED}
    assert "leave its folder" in str(stack.images(batch_id)["cup"].error_message)
    assert list(stack.folder.parent.glob("**/outside")) == []


def test_hostile_names_are_text_everywhere(make_stack: MakeStack, api: AnycapApi) -> None:
    """From the CSV through the shell-less program to Slack, the report and both kinds of CSV."""
    api.fault_for = lambda prompt, _number: Fault.ECHO if FORMULA in prompt else None
    with SlackStandIn() as slack:
        stack = make_stack(**slack.environment)
        stack.start_worker()
        source = [
            {"sku": "<!channel>", "name": HOSTILE, "note": FORMULA},
            {"sku": "<script>x", "name": FORMULA + HOSTILE, "note": "@SUM(1)"},
        ]
        batch_id = stack.run(source, name="<!here> <b>")
        assert stack.states(batch_id) == {"<!channel>": State.PUBLISHED, "<script>x": State.FAILED}
        assert {each.prompt for each in api.calls} == {prompt_of(HOSTILE), prompt_of(FORMULA + HOSTILE)}
        said = str(slack.messages)
        assert "<!" not in said
        assert "<script" not in said
        assert "&lt;script&gt;x" in said
    call(stack, "report")
    (page,) = (stack.folder / "output" / "reports" / batch_id).glob("index.html")
    shown = page.read_text("utf-8")
    assert HOSTILE not in shown
    assert html.escape("<script>alert(1)</script>", quote=False) in shown
    call(stack, "export", "--output", "all.csv")
    call(stack, "export", "--failed", "--excel", "--output", "failed.csv")
    for name in ("all.csv", "failed.csv"):
        with (stack.folder / name).open(encoding="utf-8-sig", newline="") as file:
            cells = [cell for line in csv.reader(file) for cell in line]
        assert any(FORMULA in cell for cell in cells), name
        assert [cell for cell in cells if cell.startswith(("=", "@", "+", "-"))] == [], name
    assert list(stack.folder.glob("**/owned")) == []
