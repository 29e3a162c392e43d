"""What the AnyCap provider makes of everything that the program can do, on a fake program."""

from __future__ import annotations

import dataclasses
import json
import os
import select
import time
from pathlib import Path

import pytest

from tasks.core.errors import (
    Account,
    Ambiguous,
    BadBytes,
    Invalid,
    NoImage,
    NotSent,
    Overloaded,
    RateLimited,
    Refused,
    StepError,
)
from tasks.core.redaction import conceal
from tests.contract.providers.conftest import FakeAnycap, MakeRequest
from tests.contract.providers.fake_anycap import SCENES

PAID = 3 * 2_000
"""Three credits at 2,000 micro-dollars each: what the fake reports when it reports anything."""

TRAPS: dict[str, tuple[type[StepError], int | None]] = {
    "http_429": (RateLimited, None),
    "429 coded": (RateLimited, None),
    "429 that is about credit": (Account, None),
    "http_500": (Overloaded, None),
    "http_502": (Ambiguous, None),
    "http_503": (Overloaded, None),
    "http_504": (Ambiguous, None),
    "http_529": (Overloaded, None),
    "http_5xx": (Overloaded, None),
    "5xx of an unknown code": (Overloaded, None),
    "http_400": (Invalid, None),
    "http_4xx": (Invalid, None),
    "http_404": (Invalid, None),
    "content rejected": (Refused, None),
    "content rejected, 4xx": (Refused, None),
    "content rejected, coded": (Refused, None),
    "content rejected, flat code": (Refused, None),
    "no credit": (Account, None),
    "no credit, 4xx": (Account, None),
    "rate limit as 4xx": (RateLimited, None),
    "feature disabled": (Account, None),
    "feature not allowed": (Account, None),
    "http_403": (Account, None),
    "missing input": (Invalid, None),
    "invalid param": (Invalid, None),
    "unknown 4xx code": (Invalid, None),
    "auth_required": (Account, None),
    "auth_invalid": (Account, None),
    "unknown auth code": (Account, None),
    "the key in the message": (Account, None),
    "refused connection": (NotSent, None),
    "no such host": (NotSent, None),
    "connect timeout": (NotSent, None),
    "bad certificate": (NotSent, None),
    "proxy down": (NotSent, None),
    "dropped": (Ambiguous, None),
    "reset": (Ambiguous, None),
    "paid but lost": (Ambiguous, None),
    "paid but lost, 403": (Ambiguous, None),
    "upload failed": (NotSent, None),
    "no schema": (NotSent, None),
    "gateway while uploading": (NotSent, None),
    "dropped while uploading": (NotSent, None),
    "unknown flag": (Invalid, None),
    "unknown error": (Ambiguous, None),
    "invalid args": (Invalid, None),
    "exit 0 with an error": (NoImage, None),
    "exit 0, content rejected": (Refused, None),
    "exit 0 with a plain error": (NoImage, None),
    "exit 0, still processing": (NoImage, None),
    "exit 0, no outputs": (NoImage, PAID),
    "exit 0, no file": (NoImage, PAID),
    "exit 0, html": (NoImage, None),
    "exit 0, nothing": (NoImage, None),
    "json as picture": (BadBytes, PAID),
    "html as picture": (BadBytes, PAID),
    "empty picture": (BadBytes, PAID),
    "a link to a secret": (NoImage, PAID),
    "a pipe": (NoImage, PAID),
    "a folder": (NoImage, PAID),
    "three gigabytes": (BadBytes, PAID),
    "truncated picture": (BadBytes, PAID),
    "success with exit 1": (Ambiguous, None),
    "flood": (Ambiguous, None),
    "killed": (Ambiguous, None),
    "killed silently": (NotSent, None),
    "broken": (Account, None),
    "json list": (Ambiguous, None),
}
WITHOUT_ERROR = {"success", "no credits told", "leave a child"}
TOO_LONG = {"hang", "hang with a child"}


def ends(pid: int) -> bool:
    """Whether a process has ended, or does within five seconds (a killed one takes a moment)."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([handle], [], [], 5.0)[0])
    finally:
        os.close(handle)


def test_every_scene_of_the_fake_is_tested() -> None:
    """A scene without an expectation would test nothing."""
    assert set(SCENES) == TRAPS.keys() | WITHOUT_ERROR | TOO_LONG


@pytest.mark.parametrize("scene", TRAPS)
def test_each_trap_has_its_class(scene: str, fake: FakeAnycap, make_request: MakeRequest) -> None:
    """Each way of failing raises the class that the retry table knows, with what it is known to have cost."""
    expected, cost = TRAPS[scene]
    fake.play(scene)
    with pytest.raises(StepError) as caught:
        fake.provider.generate(make_request())
    assert type(caught.value) is expected
    assert caught.value.cost_usd_micros == cost
    assert len(fake.calls) == 1


@pytest.mark.parametrize("scene", ["http_500", "truncated picture", "exit 0, no outputs"])
def test_errors_carry_the_trace(scene: str, fake: FakeAnycap, make_request: MakeRequest) -> None:
    """AnyCap's own name for the call goes with the error, for the support case."""
    fake.play(scene)
    with pytest.raises(StepError) as caught:
        fake.provider.generate(make_request())
    assert caught.value.trace_id == "trc_fake"


def test_the_same_failure_has_the_same_message(fake: FakeAnycap, make_request: MakeRequest) -> None:
    """Messages hold nothing of the single call, so that a summary can group by them."""
    fake.play("truncated picture")
    messages = set()
    for _ in range(2):
        with pytest.raises(BadBytes) as caught:
            fake.provider.generate(make_request())
        messages.add(str(caught.value))
    assert len(messages) == 1


def test_a_broken_connection_is_named_without_its_ports(fake: FakeAnycap, make_request: MakeRequest) -> None:
    """The port of our side differs from call to call and would make each failure a reason of its own."""
    fake.play("reset")
    with pytest.raises(Ambiguous, match="connection reset by peer") as caught:
        fake.provider.generate(make_request())
    assert "->" not in str(caught.value)


def test_the_key_is_not_in_the_representation(fake: FakeAnycap) -> None:
    """A log line or a traceback with the provider in it shows no key."""
    assert "ak_very_secret" not in repr(fake.provider)


def test_an_unusable_folder_is_named(fake: FakeAnycap, make_request: MakeRequest, tmp_path: Path) -> None:
    """A configuration folder that cannot be made is not mistaken for a missing program."""
    (tmp_path / "file").touch()
    with pytest.raises(Account, match=r"folder .*file/anycap"):
        dataclasses.replace(fake.provider, config_dir=tmp_path / "file" / "anycap").generate(make_request())


def test_the_key_never_reaches_a_message(fake: FakeAnycap, make_request: MakeRequest) -> None:
    """An answer that repeats the key is passed on without it."""
    conceal(["ak_very_secret"])
    fake.play("the key in the message")
    with pytest.raises(Account, match="key … is bad") as caught:
        fake.provider.generate(make_request())
    assert "ak_very_secret" not in str(caught.value)


def test_a_picture_without_told_credits_has_an_unknown_cost(fake: FakeAnycap, make_request: MakeRequest) -> None:
    """``credits_used`` is optional, and without it the cost is unknown, not nothing."""
    fake.play("no credits told")
    assert fake.provider.generate(make_request()).cost_usd_micros is None


def test_credits_without_a_price_have_an_unknown_cost(fake: FakeAnycap, make_request: MakeRequest) -> None:
    """Without the price of a credit, the cost is unknown, not nothing."""
    provider = dataclasses.replace(fake.provider, usd_micros_per_credit=None)
    assert provider.generate(make_request()).cost_usd_micros is None


@pytest.mark.parametrize("scene", sorted(TOO_LONG))
def test_the_deadline_kills_the_whole_group(scene: str, fake: FakeAnycap, make_request: MakeRequest) -> None:
    """A program that ignores TERM is gone at the deadline, with its children, and the call counts as perhaps paid."""
    fake.play(scene)
    begun = time.monotonic()
    with pytest.raises(Ambiguous, match=r"within 1\.5 s"):
        fake.provider.generate(make_request(deadline_seconds=1.5))
    assert time.monotonic() - begun < 2.5
    if scene == "hang with a child":
        assert ends(int((fake.config_dir / "child.pid").read_text()))


def test_a_child_left_behind_does_not_cost_the_picture(fake: FakeAnycap, make_request: MakeRequest) -> None:
    """When the program has answered and a child of it holds the pipes, the answer counts and the child goes."""
    fake.play("leave a child")
    assert fake.provider.generate(make_request(deadline_seconds=1.5)).data
    assert ends(int((fake.config_dir / "child.pid").read_text()))


def test_every_value_is_glued_to_its_flag(fake: FakeAnycap, make_request: MakeRequest, tmp_path: Path) -> None:
    """Prompts, parameters and references arrive as one argument each, whatever they begin with."""
    reference = tmp_path / "mug.png"
    request = make_request("--help", parameters={"aspect_ratio": "16:9"}, references=(reference,))
    fake.provider.generate(request)
    assert fake.calls[0]["arguments"] == [
        "image",
        "generate",
        "--prompt=--help",
        "--model=m",
        "--mode=image-to-image",
        "--param=aspect_ratio=16:9",
        f"--param=images={json.dumps([str(reference)])}",
        f"--output={request.scratch / 'picture.png'}",
    ]


def test_the_program_sees_only_what_it_needs(
    fake: FakeAnycap, make_request: MakeRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Proxies and certificates pass, the switches are set, and no other service's secret gets through."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "aws")
    monkeypatch.setenv("SLACK_WEBHOOK_URL", "slack")
    monkeypatch.setenv("ANYCAP_API_KEY", "of another account")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    monkeypatch.setenv("SSL_CERT_FILE", "/etc/certs.pem")
    fake.provider.generate(make_request())
    env = fake.calls[0]["env"]
    assert env["ANYCAP_API_KEY"] == "ak_very_secret"
    assert env["ANYCAP_API_ENDPOINT"] == "http://127.0.0.1:9"
    assert env["ANYCAP_CONFIG_DIR"] == str(fake.config_dir)
    assert (env["ANYCAP_NO_UPDATE"], env["ANYCAP_NO_KEYRING"]) == ("1", "1")
    assert (env["HTTPS_PROXY"], env["SSL_CERT_FILE"]) == ("http://proxy:3128", "/etc/certs.pem")
    assert not {"AWS_SECRET_ACCESS_KEY", "SLACK_WEBHOOK_URL"} & env.keys()


def test_without_a_key_none_is_passed(
    fake: FakeAnycap, make_request: MakeRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A provider without key and endpoint leaves both to the program's own configuration."""
    monkeypatch.setenv("ANYCAP_API_KEY", "of another account")
    dataclasses.replace(fake.provider, api_key=None, endpoint=None).generate(make_request())
    assert not {"ANYCAP_API_KEY", "ANYCAP_API_ENDPOINT"} & fake.calls[0]["env"].keys()


def test_a_missing_program_holds_the_model(fake: FakeAnycap, make_request: MakeRequest, tmp_path: Path) -> None:
    """No image is to blame when ``anycap`` is not installed: Account, and ``check`` says how to install it."""
    provider = dataclasses.replace(fake.provider, binary=str(tmp_path / "nowhere"))
    with pytest.raises(Account, match="npm install -g @anycap/cli"):
        provider.generate(make_request())
    health = provider.check()
    assert (health.status, health.mend) == ("bad", "install it: npm install -g @anycap/cli")


def test_a_program_that_is_none_holds_the_model(fake: FakeAnycap, make_request: MakeRequest, tmp_path: Path) -> None:
    """A file that cannot be run is as good as none."""
    text = tmp_path / "anycap.txt"
    text.write_text("not a program")
    with pytest.raises(Account, match="cannot be run"):
        dataclasses.replace(fake.provider, binary=str(text)).generate(make_request())


def test_a_prompt_with_a_nul_is_invalid(fake: FakeAnycap, make_request: MakeRequest) -> None:
    """No command line can carry a NUL; nothing is started."""
    with pytest.raises(Invalid, match="NUL"):
        fake.provider.generate(make_request("a\0b"))
    assert not (fake.config_dir / "calls.jsonl").exists()


def test_a_prompt_too_long_for_a_command_line_is_invalid(fake: FakeAnycap, make_request: MakeRequest) -> None:
    """The system's limit for one argument is an error of the row, not of the program."""
    with pytest.raises(Invalid, match="too long"):
        fake.provider.generate(make_request("가" * 100_000))


def test_check_without_a_key_says_what_to_set(fake: FakeAnycap) -> None:
    """``check`` names the variable, and spends nothing."""
    health = dataclasses.replace(fake.provider, api_key=None).check()
    assert health.status == "bad"
    assert "ANYCAP_API_KEY" in health.mend
    assert [call["arguments"][0] for call in fake.calls] == ["--version", "credentials"]


def test_no_pipe_stays_open(fake: FakeAnycap, make_request: MakeRequest) -> None:
    """Calls leave no file descriptor behind, whether they succeed or are killed."""
    before = len(list(Path("/proc/self/fd").iterdir()))
    fake.provider.generate(make_request())
    fake.play("hang")
    with pytest.raises(Ambiguous):
        fake.provider.generate(make_request(deadline_seconds=0.3))
    assert len(list(Path("/proc/self/fd").iterdir())) == before
