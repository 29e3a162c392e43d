"""What every provider promises."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from tasks.pictures.inspect import inspect
from tasks.providers.base import Provider
from tests.contract.providers.conftest import MakeRequest


def test_the_picture_decodes_and_is_as_large_as_asked(provider: Provider, make_request: MakeRequest) -> None:
    """What comes back is a whole picture, of the asked size or larger."""
    made = provider.generate(make_request())
    size = inspect(made.data).size
    assert size.width >= 64
    assert size.height >= 64


def test_the_cost_is_told_in_whole_micro_dollars(provider: Provider, make_request: MakeRequest) -> None:
    """A provider that knows what a picture cost says so: nothing, or three credits of 2,000 micro-dollars.

    One that is billed by tokens knows it by the model's prices, of which there are none here; queues do not tell.
    """
    costs = {"preview": 0, "anycap": 6_000}
    assert provider.generate(make_request()).cost_usd_micros == costs.get(provider.name)


def test_a_prompt_is_text_whatever_is_in_it(provider: Provider, make_request: MakeRequest) -> None:
    """Dashes, quotes, line breaks, Hangul and shell signs are all just words."""
    for prompt in ("-o /etc/passwd", "--help", "$(touch x); `id` 'q' \"q\"", "두\n줄\t탭 {sku}", " ", "🎈 a balloon"):
        assert inspect(provider.generate(make_request(prompt)).data)


def test_many_threads_share_one_provider(provider: Provider, make_request: MakeRequest) -> None:
    """One instance serves many threads at once, and each gets its own picture."""
    prompts = [f"a mug, number {number}" for number in range(16)]
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda prompt: provider.generate(make_request(prompt)), prompts))
    assert all(inspect(one.data) for one in made)


def test_check_says_that_it_is_ready(provider: Provider) -> None:
    """A provider with all it needs is ok, under its own name."""
    health = provider.check()
    assert (health.component, health.status) == (provider.name, "ok")
