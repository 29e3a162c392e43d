"""The AnyCap provider with the real program 0.6.2, against a stand-in for its server that keeps the books."""

from __future__ import annotations

import dataclasses
import time
from concurrent.futures import ThreadPoolExecutor
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
from tasks.core.pictures import Size
from tasks.pictures.inspect import inspect
from tasks.providers.anycap import AnycapProvider
from tests.contract.providers.conftest import MakeRequest
from tests.stand_ins.anycap_api import AnycapApi, Fault, depicts, paint

PAID = 3 * 2_000

EXPECTED: dict[Fault, tuple[type[StepError], int, int | None]] = {
    Fault.RATE_LIMITED: (RateLimited, 0, None),
    Fault.RATE_LIMITED_PLAINLY: (RateLimited, 0, None),
    Fault.SERVER_ERROR: (Overloaded, 0, None),
    Fault.SERVER_ERROR_PLAINLY: (Overloaded, 0, None),
    Fault.UNAVAILABLE: (Overloaded, 0, None),
    Fault.OVERLOADED: (Overloaded, 0, None),
    Fault.GATEWAY_TIMEOUT: (Ambiguous, 0, None),
    Fault.CONTENT_REJECTED: (Refused, 0, None),
    Fault.CONTENT_REJECTED_PLAINLY: (Refused, 0, None),
    Fault.INVALID_PARAM: (Invalid, 0, None),
    Fault.ECHO: (Invalid, 0, None),
    Fault.UNKNOWN_MODEL: (Invalid, 0, None),
    Fault.BAD_KEY: (Account, 0, None),
    Fault.NO_CREDIT: (Account, 0, None),
    Fault.DROP_BEFORE_CHARGE: (Ambiguous, 0, None),
    Fault.DROP_AFTER_CHARGE: (Ambiguous, 1, None),
    Fault.SUCCESS_WITH_ERROR: (NoImage, 0, None),
    Fault.NOT_JSON: (NoImage, 0, None),
    Fault.NO_OUTPUTS: (NoImage, 1, PAID),
    Fault.DOWNLOAD_REFUSED: (Ambiguous, 1, None),
    Fault.DOWNLOAD_DROPPED: (Ambiguous, 1, None),
    Fault.JSON_AS_IMAGE: (BadBytes, 1, PAID),
    Fault.TRUNCATED_IMAGE: (BadBytes, 1, PAID),
}
"""The class, the number of charges in the server's books, the cost that the provider knows."""

MENDED = {Fault.TRUNCATED_ONCE, Fault.HANG_AFTER_CHARGE}
"""Faults with tests of their own."""


def test_every_fault_of_the_stand_in_is_tested() -> None:
    """A fault without an expectation would test nothing."""
    assert set(Fault) == EXPECTED.keys() | MENDED


@pytest.mark.parametrize("fault", EXPECTED, ids=lambda fault: fault.name.lower())
def test_each_fault_has_its_class(
    fault: Fault, real: AnycapProvider, api: AnycapApi, make_request: MakeRequest
) -> None:
    """The real program's answer leads to the right class, and one call is one POST, never two."""
    expected, charges, cost = EXPECTED[fault]
    api.fault_for = lambda _prompt, _number: fault
    with pytest.raises(StepError) as caught:
        real.generate(make_request())
    assert type(caught.value) is expected
    assert caught.value.cost_usd_micros == cost
    assert (len(api.calls), len(api.charges)) == (1, charges)


def test_the_picture_is_that_of_the_prompt(real: AnycapProvider, api: AnycapApi, make_request: MakeRequest) -> None:
    """Prompt, model and parameters reach the server unchanged, and its picture comes back."""
    prompt = '--prompt=똠얌 "국수"\n₩12,900 {sku} $(id)'
    made = real.generate(make_request(prompt, parameters={"aspect_ratio": "16:9", "resolution": "1k"}))
    assert (api.calls[0].prompt, api.calls[0].model) == (prompt, "m")
    assert api.calls[0].parameters == {"aspect_ratio": "16:9", "resolution": "1k"}
    assert inspect(made.data).size == Size(1360, 768)
    assert depicts(made.data, prompt)
    assert not depicts(made.data, prompt + "!")
    assert made.cost_usd_micros == PAID
    assert made.trace_id


def test_what_was_paid_for_is_downloaded_again(real: AnycapProvider, api: AnycapApi, make_request: MakeRequest) -> None:
    """A picture that came in half is fetched once more, and not bought once more."""
    api.fault_for = lambda _prompt, _number: Fault.TRUNCATED_ONCE
    assert depicts(real.generate(make_request("a mug")).data, "a mug")
    assert len(api.charges) == 1


def test_pictures_to_start_from_are_uploaded(
    real: AnycapProvider, api: AnycapApi, make_request: MakeRequest, tmp_path: Path
) -> None:
    """The program uploads local files by itself and names them in the one paid call, in their order."""
    files = (tmp_path / "front.png", tmp_path / "back.png")
    for number, file in enumerate(files):
        file.write_bytes(paint(f"a reference, number {number}", 64, 64))
    assert depicts(real.generate(make_request("a mug", references=files)).data, "a mug")
    (call,) = api.charges
    assert call.parameters["mode"] == "image-to-image"
    assert [api.uploads[url] for url in call.parameters["images"]] == [file.read_bytes() for file in files]


def test_a_failed_upload_is_provably_not_paid(
    real: AnycapProvider, api: AnycapApi, make_request: MakeRequest, tmp_path: Path
) -> None:
    """Uploads come before the paid call: that is not made, and may be tried again freely."""
    (tmp_path / "front.png").write_bytes(paint("a reference", 64, 64))
    api.refuses_uploads = True
    with pytest.raises(NotSent, match="storage upload failed"):
        real.generate(make_request(references=(tmp_path / "front.png",)))
    assert not api.calls


def test_the_deadline_ends_a_hanging_call(real: AnycapProvider, api: AnycapApi, make_request: MakeRequest) -> None:
    """The program has no timeout of its own; ours ends the call, which may have been paid for."""
    api.fault_for = lambda _prompt, _number: Fault.HANG_AFTER_CHARGE
    begun = time.monotonic()
    with pytest.raises(Ambiguous):
        real.generate(make_request(deadline_seconds=1.0))
    assert time.monotonic() - begun < 2.0
    assert len(api.charges) == 1


def test_a_closed_port_is_provably_not_sent(real: AnycapProvider, make_request: MakeRequest) -> None:
    """Nothing listens: the request was never sent and may be repeated freely."""
    with pytest.raises(NotSent):
        dataclasses.replace(real, endpoint="http://127.0.0.1:9").generate(make_request())


def test_an_unknown_host_is_provably_not_sent(real: AnycapProvider, make_request: MakeRequest) -> None:
    """A name that does not resolve: the request was never sent."""
    with pytest.raises(NotSent):
        dataclasses.replace(real, endpoint="http://nowhere.invalid").generate(make_request())


def test_no_key_holds_the_model(real: AnycapProvider, api: AnycapApi, make_request: MakeRequest) -> None:
    """Without a key the server says 401, and nothing of this model will work until somebody sets one."""
    with pytest.raises(Account):
        dataclasses.replace(real, api_key=None).generate(make_request())
    assert not api.charges


def test_threads_never_mix_up_their_pictures(real: AnycapProvider, api: AnycapApi, make_request: MakeRequest) -> None:
    """Twelve calls at once: each gets the picture of its own prompt, each is charged once."""
    prompts = [f"a mug, number {number}" for number in range(12)]
    with ThreadPoolExecutor(6) as pool:
        made = list(pool.map(lambda prompt: real.generate(make_request(prompt)), prompts))
    assert all(depicts(one.data, prompt) for one, prompt in zip(made, prompts, strict=True))
    assert sorted(charge.prompt for charge in api.charges) == sorted(prompts)


def test_check_spends_nothing(real: AnycapProvider, api: AnycapApi) -> None:
    """The version and the source of the key are shown, and the server is not asked to make anything."""
    health = real.check()
    assert (health.status, health.detail) == ("ok", "anycap 0.6.2, key from environment (ANYCAP_API_KEY)")
    assert not api.calls


def test_check_without_a_key_says_what_to_set(real: AnycapProvider) -> None:
    """The real program knows that it has no key, without asking anybody."""
    health = dataclasses.replace(real, api_key=None).check()
    assert health.status == "bad"
    assert "ANYCAP_API_KEY" in health.mend
