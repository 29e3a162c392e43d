"""What a record of a log becomes where logs are collected."""

from __future__ import annotations

import json
import logging
import sys
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tasks.core.log_lines import JsonLines
from tasks.core.redaction import conceal


def record(message: str, *args: object, **values: Any) -> logging.LogRecord:
    """As a logger makes it, at a known moment."""
    made = logging.LogRecord("tasks.steps", logging.WARNING, __file__, 1, message, args, None)
    made.__dict__.update({"created": 1.5} | values)
    return made


def test_a_record_is_an_object_of_plain_facts() -> None:
    """The moment in UTC, as RFC 3339 has it."""
    assert json.loads(JsonLines().format(record("%s is %d", "컵", 3))) == {
        "time": "1970-01-01T00:00:01.500Z",
        "level": "warning",
        "logger": "tasks.steps",
        "message": "컵 is 3",
    }


def test_what_it_is_about_is_on_the_line() -> None:
    """Numbers stay numbers; what JSON has no word for is told in ours."""
    line = json.loads(
        JsonLines(lambda _record: {"image": 7, "batch": "b-1", "of": None, "odd": {1}}).format(record(""))
    )
    assert (line["image"], line["batch"], line["of"], line["odd"]) == (7, "b-1", None, "{1}")


def test_an_exception_is_one_of_the_facts() -> None:
    """Of a record with an exception, of one whose traceback is text already, and of one that asked for the stack."""
    try:
        int("once")
    except ValueError:
        caught = sys.exc_info()
    assert (
        "ValueError: invalid literal for int() with base 10: 'once'"
        in json.loads(JsonLines().format(record("", exc_info=caught)))["exception"]
    )
    assert json.loads(JsonLines().format(record("", exc_info=caught, exc_text="clean")))["exception"] == "clean"
    assert json.loads(JsonLines().format(record("", stack_info="Stack")))["exception"] == "Stack"


@given(st.text(), st.text())
def test_a_record_is_one_line_of_ascii(message: str, value: str) -> None:
    """Whatever is in it."""
    line = JsonLines(lambda _record: {"label": value}).format(record("%s", message))
    assert line.isascii()
    assert line.splitlines() == [line]
    assert json.loads(line)["label"] == value


def test_no_secret_is_on_the_line() -> None:
    """Also not in what it is about; and a line stays JSON, whatever the secret is."""
    conceal(["hunter22-of-logs", "90125501", '"hush" hush'])
    line = JsonLines(lambda _record: {"label": "hunter22-of-logs", "image": 90125501}).format(
        record('Authorization: Bearer hunter22-of-logs, "hush" hush, 90125501')
    )
    assert json.loads(line)["message"] == "Authorization: Bearer …, …, …"
    assert (json.loads(line)["label"], json.loads(line)["image"]) == ("…", 90125501)
