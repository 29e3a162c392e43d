"""No secret leaves the process that it was given to: everything that a batch writes anywhere is searched for them."""

from __future__ import annotations

import base64
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

import pytest
import redis
from sqlalchemy import select

from tasks.core.states import State
from tasks.ledger.engine import Ledger, parse_database_url
from tasks.ledger.migrate import upgrade
from tasks.ledger.schema import metadata
from tests.integration.conftest import MakeStack
from tests.integration.stack import Stack, prompt_of
from tests.stand_ins.anycap_api import AnycapApi, Fault
from tests.stand_ins.cms import CmsStandIn
from tests.stand_ins.flaky_s3 import FlakyS3
from tests.stand_ins.http_server import Reply, Request
from tests.stand_ins.locked_valkey import locked_valkey
from tests.stand_ins.s3_server import S3Server
from tests.stand_ins.slack import SlackStandIn

BUCKET = "guarded"
COMMAND = Path(sys.executable).with_name("imagechord")
SECRETS = {
    "redis": "rds_pw-7f3a91c5d2",
    "database": "pg_pw-55e0b1aa42",
    "anycap": "ak_live-91b2c3d4e5f6",
    "cms": "cms_tk-0a1b2c3d4e",
    "s3": "aws_sk-a9b8c7d6e5f4a3b2",
    "s3 session": "aws_st-1122334455667788",
    "slack": "secret-of-the-webhook",
}
ROWS = "sku,name\nfine,fine\necho-anycap,echo-anycap\necho-cms,echo-cms\necho-s3,echo-s3\n"


class TellingCms(CmsStandIn):
    """Answers a write of ``echo-cms`` with what it was sent."""

    def answer(self, request: Request) -> Reply:
        """The CMS's own answer otherwise."""
        if request.path.endswith("/echo-cms"):
            return Reply(400, {"error": f"not understood: {request.headers['Authorization']}"})
        return super().answer(request)


class TellingS3(FlakyS3):
    """Answers an upload of ``echo-s3`` with what it was sent."""

    def answer(self, request: Request) -> Reply:
        """As the store otherwise."""
        if request.method == "PUT" and "echo-s3" in request.path:
            told = "".join(f"{name}: {value}; " for name, value in request.headers.items())
            xml = f"<Error><Code>InvalidArgument</Code><Message>{told}</Message></Error>"
            return Reply(400, xml.encode(), {"Content-Type": "application/xml"})
        return super().answer(request)


@contextmanager
def overheard(url: str) -> Iterator[list[str]]:
    """Every command that the broker is given meanwhile: messages, chords, limits, events."""
    commands: list[str] = []
    with closing(redis.Redis.from_url(url)) as client, client.monitor() as monitor:

        def listen() -> None:
            while "the end of it" not in (command := str(monitor.next_command()["command"])):
                commands.append(command)

        listener = threading.Thread(target=listen, daemon=True)
        listener.start()
        yield commands
        with closing(redis.Redis.from_url(url)) as other:
            other.echo("the end of it")
        listener.join(30)
        assert not listener.is_alive()


def call(stack: Stack, *arguments: str) -> str:
    """All that a command prints."""
    ran = subprocess.run(
        [str(COMMAND), *arguments], cwd=stack.folder, env=stack.environment, capture_output=True, text=True, check=False
    )
    assert "Traceback" not in ran.stderr, ran.stderr
    return ran.stdout + ran.stderr


def tables(ledger: Ledger) -> str:
    """The whole ledger."""
    with ledger.read() as connection:
        return "\n".join(str(connection.execute(select(table)).all()) for table in metadata.sorted_tables)


def files(folder: Path) -> dict[str, str]:
    """Every file below the folder: logs, report, manifest, what programs keep for themselves."""
    found = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return {str(path.relative_to(folder)): path.read_bytes().decode("utf-8", "replace") for path in found}


def unpacked(text: str) -> str:
    """The text, and what is base64 in it: message bodies and Basic credentials."""
    parts = [text]
    for packed in set(re.findall(r"[A-Za-z0-9+/]{16,}={0,2}", text)):
        try:
            parts.append(base64.b64decode(packed, validate=True).decode("utf-8", "replace"))
        except ValueError:
            continue
    return "\n".join(parts)


def leaks(where: str, text: str) -> list[str]:
    """Each secret that is in the text."""
    searched = unpacked(text)
    return [f"{name} in {where}" for name, s in SECRETS.items() if s in searched or quote(s, safe="") in searched]


@pytest.mark.timeout(300)
def test_no_secret_is_written_anywhere(
    make_stack: MakeStack, api: AnycapApi, moto_server: S3Server, postgres_url: str
) -> None:
    """With servers that tell what they were sent, DEBUG logs and task events, no secret is anywhere to be read."""
    api.fault_for = lambda prompt, _number: Fault.ECHO if prompt == prompt_of("echo-anycap") else None
    moto_server.create_public_bucket(BUCKET)
    database = postgres_url.replace("postgres@", f"postgres:{SECRETS['database']}@")
    with closing(Ledger(parse_database_url(database))) as ledger:
        upgrade(ledger)
    with (
        locked_valkey(SECRETS["redis"]) as broker,
        TellingS3(moto_server.url) as s3,
        TellingCms(any_product=True, token=SECRETS["cms"]) as cms,
        SlackStandIn() as slack,
    ):
        slack.faults.append(Reply(400, f"no such address: {slack.webhook_url}"))
        secret = {
            "ANYCAP_API_KEY": SECRETS["anycap"],
            "AWS_SECRET_ACCESS_KEY": SECRETS["s3"],
            "AWS_SESSION_TOKEN": SECRETS["s3 session"],
            "AWS_ENDPOINT_URL_S3": s3.url,
            "IMAGECHORD_DATABASE_URL": database,
            "IMAGECHORD_REDIS_URL": broker,
        }
        public = {"S3_BUCKET": BUCKET, "PUBLIC_BASE_URL": moto_server.public_url(BUCKET)}
        servers = moto_server.environment | cms.environment | slack.environment
        stack = make_stack(**public, **(servers | secret))
        (stack.folder / "rows.csv").write_text(ROWS)
        with overheard(broker) as commands:
            worker = stack.start_worker("one", "-E", "--loglevel", "DEBUG")
            printed = call(stack, "run", "rows.csv", "-t", "tiny", "-m", "quick", "--json")
        (batch_id,) = re.findall(r'"batch": "(\S+)"', printed)
        check_that_all_of_it_happened(stack, batch_id, worker.words, commands)
        for command in ("status", "report", "limits", "doctor"):
            printed += call(stack, command, "--json")
        for name in ("fine", "echo-anycap", "echo-cms", "echo-s3"):
            printed += call(stack, "show", name, "--json")
        printed += call(stack, "status") + call(stack, "doctor") + call(stack, "export", "--output", "all.jsonl")
        printed += call(stack, "export", "--failed", "--output", "failed.csv")
        written = {"commands' output": printed, "broker": "\n".join(commands), "ledger": tables(stack.services.ledger)}
        written |= {"Slack": str(slack.messages)} | files(stack.folder)
        assert {"all.jsonl", "failed.csv", "one.log"} < written.keys()
        assert [leak for where, text in written.items() for leak in leaks(where, text)] == []


def check_that_all_of_it_happened(stack: Stack, batch_id: str, log: str, commands: list[str]) -> None:
    """Every server has told what it was sent, and what was searched is all there."""
    images = stack.images(batch_id)
    assert {name: image.state for name, image in images.items()} == {
        "fine": State.PUBLISHED,
        "echo-anycap": State.FAILED,
        "echo-cms": State.FAILED,
        "echo-s3": State.FAILED,
    }
    for name in ("echo-anycap", "echo-cms", "echo-s3"):
        assert "…" in (images[name].error_message or ""), images[name].error_message
    assert "DEBUG" in log
    assert any("imagechord.events" in command for command in commands)
    assert any("imagechord.generate.quick" in unpacked(command) for command in commands)
