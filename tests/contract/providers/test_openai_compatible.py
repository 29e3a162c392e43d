"""OpenAI's image API and its likes: what is sent to whom, and that money is spent once."""

from __future__ import annotations

import base64
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from tasks.core.catalogue import Endpoint
from tasks.core.errors import (
    Account,
    Ambiguous,
    Invalid,
    NotSent,
    StepError,
)
from tasks.core.pictures import Size
from tasks.pictures.inspect import inspect
from tasks.providers.base import GenerationRequest
from tasks.providers.openai_compatible import OpenAICompatibleProvider
from tests.contract.providers.conftest import MakeRequest
from tests.stand_ins.certificates import server_tls
from tests.stand_ins.http_server import Reply
from tests.stand_ins.maker_api import EXPECTED, MakerFault
from tests.stand_ins.openai_api import OpenAIApi, fields_of

KEYS = {"OPENAI_API_KEY": "sk-of-openai"}


@pytest.fixture
def ark(openai_api: OpenAIApi) -> Endpoint:
    """Ark's endpoint, at the stand-in."""
    return Endpoint(base_url=openai_api.ark_url, key_variable="ARK_API_KEY", edits="json")


@pytest.fixture
def references(tmp_path: Path) -> tuple[Path, Path]:
    """Two pictures to start from, whose names say nothing of their format."""
    for name, form in (("first", "PNG"), ("second.png", "JPEG")):
        Image.new("RGB", (32, 32), "red").save(tmp_path / name, form)
    return tmp_path / "first", tmp_path / "second.png"


@pytest.fixture(params=["openai", "ark"])
def asked(request: pytest.FixtureRequest, make_request: MakeRequest, ark: Endpoint) -> GenerationRequest:
    """A call of each of the two APIs."""
    if request.param == "openai":
        return make_request(parameters={"size": "1024x1024", "quality": "low"})
    return replace(make_request(parameters={"size": "2048x2048", "watermark": "false", "seed": "7"}), endpoint=ark)


@pytest.mark.parametrize("fault", list(MakerFault), ids=lambda fault: fault.name)
def test_every_fault_has_its_class_and_is_paid_once(
    openai: OpenAICompatibleProvider, openai_api: OpenAIApi, asked: GenerationRequest, fault: MakerFault
) -> None:
    """Whatever goes wrong is what the design calls it, and the server has seen one paid request."""
    openai_api.fault = fault
    if fault is MakerFault.SLOW_BODY:
        asked = replace(asked, deadline_seconds=1.0)
    expected = EXPECTED[fault]
    begun = time.monotonic()
    if expected is None:
        assert inspect(openai.generate(asked).data).format == "jpeg"
    else:
        with pytest.raises(expected) as caught:
            inspect(openai.generate(asked).data)
        assert type(caught.value) is expected
        if fault is MakerFault.RATE_LIMITED_WITH_RETRY_AFTER:
            assert caught.value.retry_after_seconds == 7.0
    assert len(openai_api.paid) == 1
    assert time.monotonic() - begun < 15


def test_openai_is_asked_in_its_own_words(
    openai: OpenAICompatibleProvider, openai_api: OpenAIApi, make_request: MakeRequest
) -> None:
    """The catalogue's parameters and nothing else; the picture is in the answer."""
    made = openai.generate(
        make_request("두 개의 mug", parameters={"size": "1024x1536", "quality": "low", "output_compression": "80"})
    )
    [sent] = openai_api.paid
    assert sent.path == "/v1/images/generations"
    assert sent.headers["Authorization"] == "Bearer sk-of-openai"
    assert sent.json() == {
        "model": "m",
        "prompt": "두 개의 mug",
        "size": "1024x1536",
        "quality": "low",
        "output_compression": 80,
    }
    assert inspect(made.data).size == Size(1024, 1536)
    assert made.trace_id == "req_1"


def test_ark_is_asked_in_its_own_words(
    openai: OpenAICompatibleProvider,
    openai_api: OpenAIApi,
    make_request: MakeRequest,
    ark: Endpoint,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """At its own address, with its own key, with a seed and without a watermark; nothing of OpenAI's goes there."""
    monkeypatch.setenv("OPENAI_ORG_ID", "org-of-the-shop")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj-of-the-shop")
    parameters = {"size": "2048x2048", "seed": "7", "watermark": "false", "guidance_scale": "2.5"}
    made = openai.generate(replace(make_request(parameters=parameters), endpoint=ark))
    [sent] = openai_api.paid
    assert sent.path == "/api/v3/images/generations"
    assert sent.headers["Authorization"] == "Bearer ark-key"
    assert "-of-the-shop" not in str(sent.headers)
    assert sent.json() == {
        "model": "m",
        "prompt": "a mug",
        "size": "2048x2048",
        "seed": 7,
        "watermark": False,
        "guidance_scale": 2.5,
    }
    assert inspect(made.data).size == Size(2048, 2048)


@pytest.mark.parametrize("response_format", ["url", "b64_json"])
def test_a_picture_comes_in_the_answer_or_behind_a_url(
    openai: OpenAICompatibleProvider,
    openai_api: OpenAIApi,
    make_request: MakeRequest,
    ark: Endpoint,
    response_format: str,
) -> None:
    """Both are the same picture; a URL is fetched without the key."""
    parameters = {"response_format": response_format}
    made = openai.generate(replace(make_request(parameters=parameters), endpoint=ark))
    assert inspect(made.data).size == Size(64, 64)
    downloads = [one for one in openai_api.requests if one.method == "GET"]
    assert len(downloads) == (response_format == "url")
    assert all("Authorization" not in one.headers for one in downloads)


@pytest.mark.parametrize(
    "reply",
    [
        lambda data: Reply(body=data[: len(data) // 2]),
        lambda data: Reply(body=data[:20], headers={"Content-Length": str(len(data)), "Connection": "close"}),
        lambda _: Reply(503),
        lambda _: Reply(disconnect=True),
    ],
    ids=["cut", "cut short", "unavailable", "dropped"],
)
def test_what_does_not_come_from_a_url_is_fetched_again(
    openai: OpenAICompatibleProvider,
    openai_api: OpenAIApi,
    make_request: MakeRequest,
    ark: Endpoint,
    reply: Callable[[bytes], Reply],
) -> None:
    """A second download costs nothing, a second call would."""
    openai_api.first_download = reply
    made = openai.generate(replace(make_request(), endpoint=ark))
    assert inspect(made.data).size == Size(64, 64)
    assert [one.method for one in openai_api.requests] == ["POST", "GET", "GET"]


def test_a_slow_download_ends_with_the_call(
    openai: OpenAICompatibleProvider, openai_api: OpenAIApi, make_request: MakeRequest, ark: Endpoint
) -> None:
    """The deadline is for the call and its download together; there is no time for a second one."""
    openai_api.first_download = lambda data: Reply(body=data, drip_seconds=0.1)
    with pytest.raises(Ambiguous, match="it did not come within"):
        openai.generate(replace(make_request(deadline_seconds=1.5), endpoint=ark))
    assert [one.method for one in openai_api.requests] == ["POST", "GET"]


def test_a_url_into_the_private_network_is_not_fetched(
    openai_api: OpenAIApi, make_request: MakeRequest, ark: Endpoint
) -> None:
    """Unless the installation allows it, an answer leads nobody to this machine."""
    provider = OpenAICompatibleProvider(keys={"ARK_API_KEY": "ark-key"})
    with pytest.raises(Account, match="allow_private_provider_urls"):
        provider.generate(replace(make_request(), endpoint=ark))
    assert [one.method for one in openai_api.requests] == ["POST"]


def test_reference_pictures_go_in_a_form(
    openai: OpenAICompatibleProvider,
    openai_api: OpenAIApi,
    make_request: MakeRequest,
    references: tuple[Path, Path],
) -> None:
    """OpenAI takes them as files, whose types are those of their bytes; parameters are fields beside them."""
    parameters = {"size": "1024x1024", "input_fidelity": "high", "seedless": "true"}
    made = openai.generate(make_request(parameters=parameters, references=references))
    [sent] = openai_api.paid
    assert sent.path == "/v1/images/edits"
    assert fields_of(sent) == {
        "model": "m",
        "prompt": "a mug",
        "size": "1024x1024",
        "input_fidelity": "high",
        "seedless": "true",
        "image[]": [
            ("first.png", "image/png", references[0].read_bytes()),
            ("second.jpg", "image/jpeg", references[1].read_bytes()),
        ],
    }
    assert inspect(made.data).size == Size(1024, 1024)
    openai.generate(make_request(references=references[:1]))
    assert list(fields_of(openai_api.paid[1])["image"]) == [("first.png", "image/png", references[0].read_bytes())]


def test_reference_pictures_go_in_the_json(
    openai: OpenAICompatibleProvider,
    openai_api: OpenAIApi,
    make_request: MakeRequest,
    ark: Endpoint,
    references: tuple[Path, Path],
) -> None:
    """Ark takes one as a data URI, and several as a list of them, in the call that makes pictures."""
    for given in (references[:1], references):
        openai.generate(replace(make_request(references=given), endpoint=ark))
    one, several = (sent.json()["image"] for sent in openai_api.paid)
    encoded = [base64.b64encode(path.read_bytes()).decode() for path in references]
    assert one == f"data:image/png;base64,{encoded[0]}"
    assert several == [one, f"data:image/jpeg;base64,{encoded[1]}"]


def test_what_cannot_be_edited_is_not_bought(
    openai: OpenAICompatibleProvider,
    openai_api: OpenAIApi,
    make_request: MakeRequest,
    references: tuple[Path, Path],
    tmp_path: Path,
) -> None:
    """An endpoint without edits, and a reference that is no picture, end before anything is sent."""
    plain = Endpoint(base_url=openai_api.openai_url)
    with pytest.raises(Invalid, match="edits"):
        openai.generate(replace(make_request(references=references), endpoint=plain))
    (tmp_path / "notes.txt").write_text("no picture")
    for name in ("notes.txt", "nowhere.png"):
        with pytest.raises(Invalid, match=name):
            openai.generate(make_request(references=(tmp_path / name,)))
    assert openai_api.paid == []


def test_a_server_without_a_key_gets_none_of_others(
    openai_api: OpenAIApi, make_request: MakeRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenAI's key is OpenAI's, though the SDK would take it from the environment."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-environment")
    provider = OpenAICompatibleProvider(keys={"": ""}, allow_private_urls=True)
    own = Endpoint(base_url=openai_api.openai_url)
    provider.generate(replace(make_request(), endpoint=own))
    assert "sk-" not in str(openai_api.paid[0].headers)


@pytest.mark.parametrize("key", [None, "", " ", "sk-ü", "sk-one\nsk-two"])
def test_a_missing_key_is_named(openai_api: OpenAIApi, make_request: MakeRequest, key: str | None) -> None:
    """Nothing is sent without the endpoint's own key, and what is no key is not sent either."""
    provider = OpenAICompatibleProvider(keys={"OPENAI_API_KEY": key}, base_url=openai_api.openai_url)
    with pytest.raises(Account, match="OPENAI_API_KEY"):
        provider.generate(make_request())
    own = Endpoint(base_url=openai_api.openai_url, key_variable="SHOP_KEY")
    with pytest.raises(Account, match="SHOP_KEY"):
        provider.generate(replace(make_request(), endpoint=own))
    assert openai_api.paid == []


@pytest.mark.parametrize(
    ("base_url", "expected"),
    [
        ("http://127.0.0.1:9/v1", NotSent),
        ("http://nowhere.invalid/v1", NotSent),
        ("ftp://127.0.0.1/v1", Account),
        ("127.0.0.1:8000/v1", Account),
        ("http://[/v1", Account),
        ("http://server:port/v1", Account),
    ],
)
def test_an_address_that_leads_nowhere(make_request: MakeRequest, base_url: str, expected: type[StepError]) -> None:
    """Nobody there is free to try again; what is no address is for a person."""
    with pytest.raises(expected):
        OpenAICompatibleProvider(keys=KEYS, base_url=base_url).generate(make_request())


def test_a_certificate_of_nobody(make_request: MakeRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trying again would not make it trusted; with SSL_CERT_FILE it is."""
    context, certificate = server_tls(tmp_path)
    with OpenAIApi() as api:
        api._server.socket = context.wrap_socket(api._server.socket, server_side=True)
        base_url = api.openai_url.replace("http:", "https:")
        with pytest.raises(Account, match="SSL_CERT_FILE"):
            OpenAICompatibleProvider(keys=KEYS, base_url=base_url).generate(make_request())
        assert api.paid == []
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        provider = OpenAICompatibleProvider(keys=KEYS, base_url=base_url)
        assert provider.generate(make_request()).data
        api.fault = MakerFault.SLOW_BODY
        with pytest.raises(Ambiguous, match="within 1 s"):
            provider.generate(make_request(deadline_seconds=1.0))


@pytest.mark.parametrize(
    "reply",
    [Reply(delay_seconds=30), Reply(body="x" * 4000, drip_seconds=0.05), Reply(500, "x" * 4000, drip_seconds=0.05)],
    ids=["silent", "dripping", "dripping an error"],
)
def test_the_deadline_is_for_the_whole_call(
    openai: OpenAICompatibleProvider, openai_api: OpenAIApi, make_request: MakeRequest, reply: Reply
) -> None:
    """A server that is silent, or sends a byte now and then, holds nobody for longer."""
    openai_api.reply = reply
    begun = time.monotonic()
    with pytest.raises(Ambiguous, match=r"within 0\.5 s"):
        openai.generate(make_request(deadline_seconds=0.5))
    assert time.monotonic() - begun < 10


def test_a_prompt_that_is_no_text(
    openai: OpenAICompatibleProvider, openai_api: OpenAIApi, make_request: MakeRequest
) -> None:
    """Half a surrogate pair can be in a string and in no request."""
    with pytest.raises(Invalid, match="prompt"):
        openai.generate(make_request("a mug \ud83d"))
    assert openai_api.paid == []


def test_check_names_the_keys() -> None:
    """It says which are set, never what they are; with none of them there is something to do."""
    partly = OpenAICompatibleProvider(keys={"OPENAI_API_KEY": "sk-secret", "ARK_API_KEY": None}).check()
    assert partly.status == "ok"
    assert "ARK_API_KEY is not set; OPENAI_API_KEY is set" in partly.detail
    assert "secret" not in partly.detail
    none = OpenAICompatibleProvider(keys={"OPENAI_API_KEY": None, "ARK_API_KEY": None}).check()
    assert (none.status, none.mend) == ("bad", "set ARK_API_KEY or OPENAI_API_KEY")
    assert OpenAICompatibleProvider(keys={"": "", "OPENAI_API_KEY": None}).check().status == "ok"


def test_without_the_sdk_the_mend_is_said(tmp_path: Path) -> None:
    """The module can be imported without it; using it says what to install."""
    probe = f"""
import sys
sys.modules["openai"] = None
from pathlib import Path
from tasks.core.errors import Account
from tasks.core.pictures import Size
from tasks.providers.base import GenerationRequest
from tasks.providers.openai_answer import read_answer
from tasks.providers.openai_compatible import OpenAICompatibleProvider, _body
provider = OpenAICompatibleProvider(keys={{"OPENAI_API_KEY": "sk-test"}})
print(provider.check().status, provider.check().mend)
try:
    provider.generate(GenerationRequest("r", "m", "a mug", Size(64, 64), {{}}, 5.0, Path({str(tmp_path)!r})))
except Account as error:
    print(error)
"""
    run = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert run.stdout.count("pip install 'imagechord[openai]'") == 2
    assert run.stdout.startswith("bad ")
