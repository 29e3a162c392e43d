"""Google's models through the official SDK, over real sockets to a stand-in for the Gemini API."""

from __future__ import annotations

import base64
import dataclasses
import json
import os
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from decimal import Decimal
from pathlib import Path

import pytest

from tasks.core.catalogue import Endpoint, TokenPrices
from tasks.core.errors import Account, Ambiguous, BadBytes, Invalid, NoImage, NotSent, StepError
from tasks.pictures.inspect import inspect
from tasks.providers.base import GeneratedPicture, GenerationRequest
from tasks.providers.gemini import GeminiProvider
from tests.contract.providers.conftest import MakeRequest
from tests.stand_ins.certificates import server_tls
from tests.stand_ins.gemini_api import (
    KEY,
    PER_DAY,
    PER_MINUTE,
    GeminiApi,
    answer_of,
    error_of,
    image_part,
    picture,
    quota_failure,
    retry_info,
)
from tests.stand_ins.http_server import Reply
from tests.stand_ins.maker_api import EXPECTED, MakerFault
from tests.stand_ins.ports import free_ports

PRICES = TokenPrices(
    input_text=Decimal("1.5"), input_image=Decimal("1.5"), output_text=Decimal("7.5"), output_image=Decimal(30)
)


class Asker:
    """Asks the stand-in, each time with a request of its own."""

    def __init__(self, api: GeminiApi, provider: GeminiProvider, make: MakeRequest) -> None:
        self.provider = provider
        self.endpoint = Endpoint(base_url=api.url)
        self.make = make

    def __call__(self, **asked: object) -> GeneratedPicture:
        """One call, whose picture is looked at as a step would."""
        made = self.provider.generate(self.request(**asked))
        inspect(made.data)
        return made

    def request(self, **asked: object) -> GenerationRequest:
        """A request to the stand-in, at a price."""
        prices = asked.pop("prices", PRICES)
        return dataclasses.replace(
            self.make(**asked), model="gemini-nano-banana-2.1", endpoint=self.endpoint, token_prices=prices
        )


@pytest.fixture
def ask(gemini_api: GeminiApi, gemini: GeminiProvider, make_request: MakeRequest) -> Asker:
    """Ask the stand-in."""
    return Asker(gemini_api, gemini, make_request)


@pytest.mark.parametrize("fault", MakerFault)
def test_every_fault_is_one_paid_request_and_its_class(gemini_api: GeminiApi, ask: Asker, fault: MakerFault) -> None:
    """Whatever goes wrong, the paid request was sent once, and the error says what follows."""
    gemini_api.fault, expected, began = fault, EXPECTED[fault], time.monotonic()
    deadline_seconds = 1.0 if fault is MakerFault.SLOW_BODY else 20.0
    if expected is None:
        ask()
    else:
        with pytest.raises(StepError) as raised:
            ask(deadline_seconds=deadline_seconds)
        assert type(raised.value) is expected
        assert KEY not in str(raised.value)
    assert len(gemini_api.requests) == len(gemini_api.paid) == 1
    assert time.monotonic() - began < deadline_seconds + 10


def test_the_request_is_as_google_wants_it(gemini_api: GeminiApi, ask: Asker) -> None:
    """Only a picture is asked for; sizes are in capitals, the seed is a number, the key travels in its header."""
    ask(prompt="머그잔", parameters={"aspect_ratio": "16:9", "resolution": "2k", "seed": "7", "thinking_level": "low"})
    [paid] = gemini_api.paid
    assert paid.path == "/v1beta/models/gemini-nano-banana-2.1:generateContent"
    assert paid.headers["x-goog-api-key"] == KEY
    assert paid.json()["contents"] == [{"role": "user", "parts": [{"text": "머그잔"}]}]
    assert paid.json()["generationConfig"] == {
        "responseModalities": ["IMAGE"],
        "imageConfig": {"aspectRatio": "16:9", "imageSize": "2K"},
        "seed": 7,
        "thinkingConfig": {"thinking_level": "LOW"},  # as the SDK writes it; Google takes both
    }


def test_references_follow_the_prompt(gemini_api: GeminiApi, ask: Asker, tmp_path: Path) -> None:
    """Pictures to start from are parts after the words, in their order, called what they are."""
    files = [tmp_path / "first.png", tmp_path / "second.png"]
    for file, kind in zip(files, ("png", "jpeg"), strict=True):
        file.write_bytes(picture(kind))
    ask(prompt="put the mug on the table", references=tuple(files))
    words, *sent = gemini_api.paid[0].json()["contents"][0]["parts"]
    assert words == {"text": "put the mug on the table"}
    assert [part["inlineData"]["mime_type"] for part in sent] == ["image/png", "image/jpeg"]
    assert [base64.urlsafe_b64decode(part["inlineData"]["data"]) for part in sent] == [picture("png"), picture("jpeg")]


def test_what_cannot_be_asked_is_not_sent(gemini_api: GeminiApi, ask: Asker, tmp_path: Path) -> None:
    """A parameter that is not taken, a seed that is no number and a reference that is no picture buy nothing."""
    (tmp_path / "notes.txt").write_text("a mug")
    for parameters in ({"style": "vivid"}, {"seed": "seven"}):
        with pytest.raises(Invalid):
            ask(parameters=parameters)
    with pytest.raises(Invalid, match=r"notes\.txt"):
        ask(references=(tmp_path / "notes.txt",))
    with pytest.raises(NotSent, match=r"gone\.png"):
        ask(references=(tmp_path / "gone.png",))
    assert gemini_api.requests == []


def test_the_cost_is_that_of_the_tokens(gemini_api: GeminiApi, ask: Asker) -> None:
    """1,120 tokens of picture, 268 of thoughts at the price of text and 12 of the prompt: $0.035628."""
    made = ask()
    assert (made.cost_usd_micros, made.trace_id) == (33_600 + 2_010 + 18, "resp-1")
    assert ask(prices=None).cost_usd_micros is None


def test_drafts_are_not_the_picture(gemini_api: GeminiApi, ask: Asker) -> None:
    """A model that thinks may draw drafts, before and after: the last picture that is no thought counts."""
    draft, first, last = (image_part(picture(colour=colour)) for colour in ("red", "green", "blue"))
    gemini_api.reply = Reply(body=answer_of({**draft, "thought": True}, first, last, {**draft, "thought": True}))
    assert ask().data == picture(colour="blue")


def test_a_model_that_wants_to_go_on_is_not_paid_again(gemini_api: GeminiApi, ask: Asker) -> None:
    """The SDK would send further paid requests by itself for as long as the model asks for it."""
    body = answer_of({"text": "let me"}, reason="CONTINUATION")
    body["candidates"][0]["continuationToken"] = base64.b64encode(b"go on").decode()
    gemini_api.reply = Reply(body=body)
    with pytest.raises(NoImage, match="CONTINUATION"):
        ask()
    assert len(gemini_api.requests) == 1


def test_a_redirect_is_not_followed(gemini_api: GeminiApi, ask: Asker) -> None:
    """The SDK would send the paid request and the key on to wherever the answer points."""
    gemini_api.reply = Reply(307, headers={"Location": f"{gemini_api.url}/v1beta/models/other:generateContent"})
    with pytest.raises(Account):
        ask()
    assert len(gemini_api.requests) == 1


def test_a_day_that_is_used_up_holds_the_model(gemini_api: GeminiApi, ask: Asker) -> None:
    """Google suggests a few seconds beside a quota of the day; whoever believes that asks until midnight."""
    used_up = error_of(429, "RESOURCE_EXHAUSTED", quota_failure(PER_MINUTE, PER_DAY), retry_info("5s"))
    gemini_api.reply = Reply(429, used_up)
    with pytest.raises(Account, match=PER_DAY):
        ask()


def test_the_wait_is_what_google_asks_for(gemini_api: GeminiApi, ask: Asker) -> None:
    """RetryInfo in the body counts, with fractions; else the header."""
    limited = error_of(429, "RESOURCE_EXHAUSTED", quota_failure(PER_MINUTE), retry_info("25.465784708s"))
    plain = error_of(503, "UNAVAILABLE")
    waits = []
    for reply in (
        Reply(429, limited, {"Retry-After": "3"}),
        Reply(503, plain, {"Retry-After": "3"}),
        Reply(503, plain),
    ):
        gemini_api.reply = reply
        with pytest.raises(StepError) as raised:
            ask()
        waits.append(raised.value.retry_after_seconds)
    assert waits == [pytest.approx(25.465784708), 3.0, None]


def test_broken_base64_is_told_with_its_cost(gemini_api: GeminiApi, ask: Asker) -> None:
    """The picture was paid for, whatever came of it."""
    gemini_api.reply = Reply(body=answer_of({"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo"}}))
    with pytest.raises(BadBytes) as raised:
        ask()
    assert (raised.value.cost_usd_micros, raised.value.trace_id) == (35_628, "resp-1")


@pytest.mark.parametrize("headers", [{}, {"Content-Length": "4000"}, {"Connection": "close", "Content-Length": "x"}])
def test_an_answer_that_is_no_answer_may_have_been_paid_for(
    gemini_api: GeminiApi, ask: Asker, headers: dict[str, str]
) -> None:
    """A body that ends early, or an error in no known letters."""
    gemini_api.reply = Reply(500 if not headers else 200, b"\xff\xfe{", headers)
    with pytest.raises(Ambiguous):
        ask(deadline_seconds=2.0)
    assert len(gemini_api.requests) == 1


def test_an_answer_of_no_known_length_ends_too(ask: Asker) -> None:
    """What was cut off at the deadline looks like a whole body that is no JSON; it may have been paid for."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        dripping = threading.Thread(target=_drip_for_ever, args=(server,))
        dripping.start()
        ask.endpoint = Endpoint(base_url=f"http://127.0.0.1:{server.getsockname()[1]}")
        with pytest.raises(Ambiguous, match="within 1 s"):
            ask(deadline_seconds=1.0)
        dripping.join()


def _drip_for_ever(server: socket.socket) -> None:
    """Answer one request with a body without length or end, until the other side has gone."""
    connection, _ = server.accept()
    with connection, suppress(OSError):
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        connection.settimeout(0.05)
        while True:
            connection.sendall(b" ")
            with suppress(TimeoutError):
                if not connection.recv(4096):
                    return


def test_a_certificate_of_nobody_holds_the_model(ask: Asker, gemini_api: GeminiApi, tmp_path: Path) -> None:
    """Trying again would not make it trusted."""
    context, _ = server_tls(tmp_path)
    gemini_api._server.socket = context.wrap_socket(gemini_api._server.socket, server_side=True)
    ask.endpoint = Endpoint(base_url=gemini_api.url.replace("http:", "https:"))
    with pytest.raises(Account, match="SSL_CERT_FILE"):
        ask()
    assert gemini_api.requests == []


def test_nobody_there_is_free(ask: Asker) -> None:
    """A refused connection and a name that does not exist cost nothing."""
    for base_url in (f"http://127.0.0.1:{free_ports(1)[0]}", "http://nowhere.invalid"):
        ask.endpoint = Endpoint(base_url=base_url)
        with pytest.raises(NotSent):
            ask()


@pytest.mark.parametrize("base_url", ["ftp://127.0.0.1", "http://[::1"])
def test_an_address_that_cannot_be_used_holds_the_model(ask: Asker, base_url: str) -> None:
    """A typing error in models.toml is no outage."""
    ask.endpoint = Endpoint(base_url=base_url)
    with pytest.raises(Account, match="base_url"):
        ask()


def test_without_a_key_nothing_is_sent(gemini_api: GeminiApi, ask: Asker) -> None:
    """The error and the check both name the variable."""
    ask.provider = GeminiProvider()
    with pytest.raises(Account, match="GEMINI_API_KEY"):
        ask()
    health = ask.provider.check()
    assert (health.status, health.mend) == ("bad", "set GEMINI_API_KEY")
    assert gemini_api.requests == []


def test_one_client_serves_many_calls(ask: Asker) -> None:
    """A client takes a tenth of a second to make; there is one for each address."""
    ask()
    [first] = ask.provider._clients.values()
    ask()
    assert list(ask.provider._clients.values()) == [first]


def test_googles_own_variables_change_nothing(gemini_api: GeminiApi, tmp_path: Path) -> None:
    """What the SDK reads from the environment by itself leads neither to another key nor to another service."""
    script = tmp_path / "ask.py"
    script.write_text(
        "import sys\nfrom pathlib import Path\n"
        "from tasks.core.catalogue import Endpoint\nfrom tasks.core.pictures import Size\n"
        "from tasks.providers.base import GenerationRequest\nfrom tasks.providers.gemini import GeminiProvider\n"
        "there = Endpoint(base_url=sys.argv[1])\n"
        "request = GenerationRequest('r', 'm', 'a mug', Size(64, 64), {}, 20.0, Path(), (), there)\n"
        "GeminiProvider(api_key=sys.argv[2]).generate(request)\n"
    )
    env = {
        "GOOGLE_API_KEY": "another",
        "GOOGLE_GENAI_USE_VERTEXAI": "true",
        "GOOGLE_GENAI_USE_ENTERPRISE": "true",
        "GOOGLE_CLOUD_PROJECT": "another",
        "GOOGLE_GEMINI_BASE_URL": "http://127.0.0.1:9",
        "GOOGLE_GENAI_API_VERSION": "v9",
        "GOOGLE_GENAI_HTTP_CLIENT": "httpx",
    }
    subprocess.run([sys.executable, script, gemini_api.url, KEY], check=True, env={**os.environ, **env})
    assert len(gemini_api.paid) == 1


def test_without_the_sdk_the_mend_is_named(tmp_path: Path) -> None:
    """The module is imported without it; a call and the check say what to install."""
    script = tmp_path / "ask.py"
    script.write_text(
        "import importlib.metadata, json, sys\nfrom pathlib import Path\n"
        "sys.modules['google.genai'] = None  # as if it were not there\n"
        "found = importlib.metadata.Distribution.from_name\n"
        "def missing(name):\n"
        "    if name == 'google-genai':\n        raise importlib.metadata.PackageNotFoundError(name)\n"
        "    return found(name)\n"
        "importlib.metadata.Distribution.from_name = missing\n"
        "from tasks.core.errors import Account\nfrom tasks.core.pictures import Size\n"
        "from tasks.providers.base import GenerationRequest\nfrom tasks.providers.gemini import GeminiProvider\n"
        "provider = GeminiProvider(api_key='k')\n"
        "try:\n    provider.generate(GenerationRequest('r', 'm', 'a mug', Size(64, 64), {}, 20.0, Path()))\n"
        "except Account as error:\n    print(json.dumps([str(error), provider.check().mend]))\n"
    )
    ran = subprocess.run([sys.executable, script], check=True, capture_output=True, text=True, env=dict(os.environ))
    assert all("pip install 'imagechord[gemini]'" in said for said in json.loads(ran.stdout))
