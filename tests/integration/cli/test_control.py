"""Pause, resume, cancel, retry and publish from a terminal, with workers of one's own and without."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.integration.cli.shop import ARTICLE, Shop
from tests.integration.cli.test_own_workers import server, worker
from tests.integration.cli.test_run import MODEL, NO_LIMIT, Gate
from tests.real_anycap import real_anycap
from tests.stand_ins.anycap_api import AnycapApi, Fault
from tests.waiting import wait_until

__all__ = ["server"]

PREVIEW = ("products.csv", "-t", "product", "-m", "preview")


@pytest.fixture
def api() -> Iterator[AnycapApi]:
    """A stand-in for AnyCap's server."""
    with AnycapApi() as server:
        yield server


@pytest.fixture
def customer(shop: Shop, api: AnycapApi) -> Shop:
    """A shop with the real ``anycap``, talking to the stand-in, and an article's file."""
    shop.install(real_anycap(), "anycap")
    shop.environment |= {"ANYCAP_API_ENDPOINT": api.endpoint, "ANYCAP_API_KEY": "key-of-the-shop"}
    shop.write("config/models.toml", NO_LIMIT)
    shop.write("config/imagechord.toml", 'language = "en"\n')
    shop.write("products.csv", ARTICLE)
    return shop


@pytest.fixture
def looked_at(shop: Shop) -> Shop:
    """A shop whose one batch waits to be looked at."""
    shop.write("products.csv", ARTICLE)
    ran = shop.call("run", *PREVIEW, "--hold-publish")
    assert ran.returncode == 3, ran.stderr
    batch = shop.json("status")["batch"]
    assert f"Next: imagechord publish {batch}" in ran.stderr
    assert f"imagechord publish {batch}" in ran.stdout
    return shop


def test_what_is_kept_back_is_published_when_somebody_says_so(looked_at: Shop) -> None:
    """One picture first, then the rest; the same rows again start nothing meanwhile, and say what would go on."""
    batch = looked_at.json("status")["batch"]
    again = looked_at.call("run", *PREVIEW)
    assert again.returncode == 3
    assert "waits for you: nothing was started" in again.stderr
    assert f"Next: imagechord publish {batch}" in again.stderr
    assert len(looked_at.json("status", "--all")) == 1

    one = looked_at.call("publish", "--sku", "MUG-014")
    assert one.returncode == 3, one.stderr
    assert "1 picture on the way to the CMS" in one.stderr
    assert looked_at.json("status")["counts"] == {"published": 1, "held": 2}
    rest = looked_at.call("publish")
    assert rest.returncode == 0, rest.stderr
    assert "3/3" in rest.stdout
    assert looked_at.json("publish") == {"batch": batch, "images": 0}


def test_a_pause_from_a_second_terminal_stops_the_run(customer: Shop, api: AnycapApi) -> None:
    """Exit 3 with the command that goes on; the rest is bought then, and nothing twice."""
    customer.write("products.csv", "sku,name,color\n" + "".join(f"SKU-{n},Mug {n},white\n" for n in range(30)))
    gate = api.fault_for = Gate(free=3)
    process = customer.start("run", "products.csv", *MODEL)
    wait_until(lambda: len(api.charges) >= 3 and len(gate.arrived) > 3, 20, "three pictures and more under way")

    paused = customer.call("pause")
    assert paused.returncode == 0, paused.stderr
    batch = customer.json("status")["batch"]
    assert f"{batch} is paused" in paused.stdout
    assert "in flight" in paused.stdout
    assert f"Next: imagechord resume {batch}" in paused.stderr
    stopped_at = time.monotonic()
    wait_until(lambda: time.monotonic() > stopped_at + 1, 5, "a second, in which somebody might still begin")
    arrived = len(gate.arrived)
    gate.open()
    told, problems = process.communicate(timeout=30)
    assert process.returncode == 3, problems
    assert "paused" in told
    assert f"Next: imagechord resume {batch}" in problems
    assert len(gate.arrived) == len(api.charges) == arrived < 30

    again = customer.call("run", "products.csv", *MODEL)
    assert again.returncode == 3
    assert len(api.charges) == arrived
    resumed = customer.call("resume")
    assert resumed.returncode == 0, resumed.stderr
    assert "✅ 30/30" in resumed.stdout
    assert Counter(charge.prompt for charge in api.charges) == dict.fromkeys(gate.arrived, 1)
    assert len(api.charges) == 30


def test_a_refused_prompt_is_tried_again_with_another_template(customer: Shop, api: AnycapApi) -> None:
    """The other pictures are left alone, and the history tells what was before."""
    api.fault_for = lambda prompt, _number: Fault.CONTENT_REJECTED if "Ceramic" in prompt else None
    assert customer.call("run", "products.csv", *MODEL).returncode == 1
    status = customer.call("status")
    assert "--only refused --edit template=NAME" in status.stdout
    api.fault_for = lambda _prompt, _number: None

    tried = customer.call("retry", "--only", "refused", "--edit", "template=lifestyle")

    assert tried.returncode == 0, tried.stderr
    assert "1 picture tried again" in tried.stderr
    assert "✅ 3/3" in tried.stdout
    assert len(api.charges) == 3
    history = customer.json("show", "MUG-014")
    assert history["pictures"][0]["template"] == "lifestyle"
    (before,) = history["retried"]
    assert (before["round"], before["state"], before["template"]) == (1, "refused", "product_hero")
    shown = customer.call("show", "MUG-014").stdout
    assert "round 1: refused with nano-banana-2, template product_hero (refused" in shown


def test_the_same_rows_go_on_when_the_account_is_in_order(customer: Shop, api: AnycapApi) -> None:
    """Whoever has topped up types the same command again."""
    api.fault_for = lambda _prompt, _number: Fault.NO_CREDIT
    ran = customer.call("run", "products.csv", *MODEL)
    assert ran.returncode == 3
    batch = customer.json("status")["batch"]
    assert f"Next: imagechord resume {batch}" in ran.stderr
    api.fault_for = lambda _prompt, _number: None

    again = customer.call("run", "products.csv", *MODEL)

    assert again.returncode == 0, again.stderr
    assert f"going on with {batch}" in again.stderr
    assert len(customer.json("status", "--all")) == 1


def test_the_same_rows_go_on_with_more_money(customer: Shop, api: AnycapApi) -> None:
    """The budget of before buys nothing more, a larger one the rest."""
    small, large = ("--budget", "0.012"), ("--budget", "5")
    ran = customer.call("run", "products.csv", *MODEL, *small)
    assert ran.returncode == 3, ran.stderr
    batch, paid = customer.json("status")["batch"], len(api.charges)
    assert paid == 2
    assert f"Next: imagechord resume {batch} --budget USD" in ran.stderr
    again = customer.call("run", "products.csv", *MODEL, *small)
    assert again.returncode == 3
    assert len(api.charges) == paid
    more = customer.call("run", "products.csv", *MODEL, *large)
    assert more.returncode == 0, more.stderr
    assert "✅ 3/3" in more.stdout
    assert len(api.charges) == 3


def test_a_cancelled_batch_is_over_until_somebody_takes_it_back(customer: Shop, api: AnycapApi) -> None:
    """It cannot be resumed; retry --only cancelled delivers what was paid and buys the rest."""
    customer.write("products.csv", "sku,name,color\n" + "".join(f"SKU-{n},Mug {n},white\n" for n in range(30)))
    gate = api.fault_for = Gate(free=3)
    process = customer.start("run", "products.csv", *MODEL)
    wait_until(lambda: len(api.charges) >= 3 and len(gate.arrived) > 3, 20, "three pictures and more under way")
    cancelled = customer.call("cancel")
    assert cancelled.returncode == 0, cancelled.stderr
    assert "is cancelled" in cancelled.stdout
    gate.open()
    _told, problems = process.communicate(timeout=30)
    assert process.returncode == 1, problems
    batch = customer.json("status")["batch"]
    assert f"imagechord retry {batch} --only cancelled" in problems
    for refused in ("resume", "pause", "cancel"):
        told = customer.call(refused)
        assert told.returncode == 2, refused
        assert batch in told.stderr
    back = customer.call("retry", "--only", "cancelled")
    assert back.returncode == 0, back.stderr
    assert set(Counter(charge.prompt for charge in api.charges).values()) == {1}
    assert len(api.charges) == 30


def test_with_workers_of_ones_own_the_commands_come_back_at_once(shop: Shop, server: object) -> None:
    """They tell the workers; without one they say so."""
    assert server is not None
    with worker(shop):
        assert shop.call("run", *PREVIEW, "--hold-publish").returncode == 3
    told = shop.call("publish", "--sku", "LAMP-7", "--json")
    assert told.returncode == 0, told.stderr
    answer = json.loads(told.stdout)
    assert answer["images"] == 1
    assert "imagechord.preview" in answer["unserved_queues"]
    paused = shop.call("pause", "--json")
    assert json.loads(paused.stdout)["counts"] == {"held": 3}
    resumed = shop.call("resume")
    assert resumed.returncode == 0, resumed.stderr
    assert "no worker serves imagechord.preview" in resumed.stderr
    assert f"Next: imagechord watch {answer['batch']}" in resumed.stderr
    with worker(shop):
        watched = shop.call("watch")
        assert watched.returncode == 3, watched.stderr
        done = shop.call("publish")
        assert done.returncode == 0
        assert shop.call("watch").returncode == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("pause",), "is over: there is nothing to pause"),
        (("cancel",), "is over: there is nothing to cancel"),
        (("retry", "--only", "acount"), "--only acount: in "),
        (("retry", "--only", "held"), "imagechord resume"),
        (("retry", "--edit", "model"), "write it like --edit template=product"),
        (("retry", "--edit", "size=64x64"), "what can be edited is template=NAME and model=ALIAS"),
        (("retry", "--edit", "model=nano"), "unknown model 'nano'"),
        (("retry", "--sku", "B-1"), "no picture of"),
        (("publish", "--sku", "B-1"), "no picture of"),
        (("resume", "--budget", "much"), "is not an amount in US dollars"),
        (("pause", "b-0"), "no batch 'b-0'"),
    ],
)
def test_what_cannot_be_is_said(rehearsed: Shop, arguments: tuple[str, ...], says: str) -> None:
    """With exit code 2, and what to do instead."""
    ran = rehearsed.call(*arguments)
    assert ran.returncode == 2, ran.stdout
    assert says in ran.stderr
    assert "Traceback" not in ran.stderr


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("resume", "nothing waits to be resumed"),
        ("retry", "nothing of that kind has failed"),
        ("publish", "nothing waits to be published"),
    ],
)
def test_nothing_to_do_is_no_error(rehearsed: Shop, command: str, says: str) -> None:
    """It is said, with the next sensible command, and no worker is started for it."""
    ran = rehearsed.call(command)
    assert ran.returncode == 0, ran.stderr
    assert says in ran.stderr
    assert "Next: imagechord export" in ran.stderr
