"""``imagechord run`` on a machine with no broker: a stack of its own, from rows to pictures and back to nothing."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from tests.integration.cli.shop import ARTICLE, Shop, interrupt
from tests.real_anycap import real_anycap
from tests.stand_ins.anycap_api import AnycapApi, Fault, depicts
from tests.stand_ins.cms import CmsStandIn
from tests.stand_ins.slack import SlackStandIn
from tests.waiting import wait_until

MODEL = ("--template", "product_hero", "--model", "nano-banana-2")
NO_LIMIT = "[models.nano-banana-2.limits]\nper_minute = 6000\n"


def size_of(picture: Path) -> tuple[int, int]:
    """Width and height of a picture file, in pixels."""
    with Image.open(picture) as opened:
        return opened.size


class Gate:
    """Lets the first ``free`` calls of the server through and holds the others until it is opened."""

    def __init__(self, free: int) -> None:
        self._places = threading.Semaphore(free)
        self._open = threading.Event()
        self.arrived = Counter[str]()

    def __call__(self, prompt: str, _number: int) -> Fault | None:
        self.arrived[prompt] += 1
        if not self._places.acquire(blocking=False):
            self._open.wait(60)
        return None

    def open(self) -> None:
        """Let everything through from here on."""
        self._open.set()


def under_way(customer: Shop, api: AnycapApi) -> tuple[subprocess.Popen[str], Gate]:
    """A run of the article's three rows, all three calls held at the server."""
    customer.write("products.csv", ARTICLE)
    gate = api.fault_for = Gate(free=0)
    process = customer.start("run", "products.csv", *MODEL)
    wait_until(lambda: len(gate.arrived) == 3, 20, "three calls under way")
    return process, gate


@pytest.fixture
def api() -> Iterator[AnycapApi]:
    """AnyCap's server, on loopback."""
    with AnycapApi() as api:
        yield api


@pytest.fixture
def customer(shop: Shop, api: AnycapApi) -> Shop:
    """A shop with the real anycap program and a key for the server, and no limit that would slow a test down."""
    shop.install(real_anycap(), "anycap")
    shop.environment |= {"ANYCAP_API_KEY": "key-of-the-shop", "ANYCAP_API_ENDPOINT": api.endpoint}
    shop.write("config/models.toml", NO_LIMIT)
    return shop


def test_the_sample_is_published_end_to_end(shop: Shop) -> None:
    """Without an argument: 24 pictures of the asked size, the summary, the contact sheet, and nothing left behind."""
    ran = shop.call("run")

    assert ran.returncode == 0, ran.stderr
    assert "✅ 24/24" in ran.stdout
    report = Path(
        next(line for line in ran.stdout.splitlines() if line.startswith("Report: ")).removeprefix("Report: ")
    )
    assert "KR-0101" in report.read_text("utf-8")
    pictures = sorted((shop.folder / "output").glob("*.jpg"))
    assert len(pictures) == 24
    assert {size_of(picture) for picture in pictures} == {(1024, 1024)}
    assert "Next: imagechord export" in ran.stderr
    assert list(shop.temporary.iterdir()) == []


def test_the_articles_csv_is_bought_uploaded_written_and_announced(customer: Shop, api: AnycapApi) -> None:
    """sku,name,color as the article has it, through the real anycap, into the CMS, with both Slack messages."""
    customer.write("products.csv", ARTICLE)
    with CmsStandIn(["TSHIRT-001", "MUG-014", "LAMP-7"]) as cms, SlackStandIn() as slack:
        customer.environment |= {**cms.environment, **slack.environment, "PUBLIC_BASE_URL": "https://cdn.example.com"}

        ran = customer.call("run", "products.csv", *MODEL)

        assert ran.returncode == 0, ran.stderr
        assert len(api.charges) == 3
        assert [message["text"][0] for message in slack.messages] == ["🚀", "✅"]
        for prompt in (charge.prompt for charge in api.charges):
            sku = next(s for s, name in SKUS.items() if name in prompt)
            url = cms.products[sku]
            assert url is not None
            file = customer.folder / "output" / url.removeprefix("https://cdn.example.com/")
            assert depicts(file.read_bytes(), prompt)
            assert size_of(file) == (1024, 1024)
    everything = ran.stdout + ran.stderr + (customer.folder / ".imagechord/worker.log").read_text("utf-8")
    assert "key-of-the-shop" not in everything
    assert cms.token not in everything


SKUS = {"TSHIRT-001": "Classic T-Shirt", "MUG-014": "Ceramic Mug", "LAMP-7": "Desk Lamp"}


def test_a_refused_prompt_is_exit_code_1_and_its_row_can_be_run_again(customer: Shop, api: AnycapApi) -> None:
    """The others are published; the failed row comes back with its reason and runs again when mended."""
    customer.write("products.csv", ARTICLE)
    api.fault_for = lambda prompt, _number: Fault.CONTENT_REJECTED if "Ceramic" in prompt else None

    ran = customer.call("run", "products.csv", *MODEL)

    assert ran.returncode == 1, ran.stderr
    assert "⚠️ 2/3" in ran.stdout
    assert "MUG-014" in ran.stdout
    assert "--failed --output failed.csv" in ran.stderr
    exported = customer.call("export", "--failed", "--output", "failed.csv")
    assert "imagechord run failed.csv --template product_hero" in exported.stderr
    failed = (customer.folder / "failed.csv").read_text("utf-8").splitlines()
    assert failed[0] == "sku,name,color,_error_class,_error_message"
    assert [line.split(",")[:4] for line in failed[1:]] == [["MUG-014", "Ceramic Mug", "white", "refused"]]
    customer.write("failed.csv", "\n".join(failed).replace("Ceramic Mug", "Stone Mug"))
    again = customer.call("run", "failed.csv", *MODEL)
    assert again.returncode == 0, again.stderr
    assert len(api.charges) == 3


def test_no_credit_is_exit_code_3_and_says_what_waits(customer: Shop, api: AnycapApi) -> None:
    """An account in trouble holds the pictures for a person: status tells the reason."""
    customer.write("products.csv", ARTICLE)
    api.fault_for = lambda _prompt, _number: Fault.NO_CREDIT

    ran = customer.call("run", "products.csv", *MODEL)

    assert ran.returncode == 3, ran.stderr
    status = customer.json("status")
    assert (status["published"], status["waiting"]) == (0, 3)
    assert "account" in {reason["error_class"] for reason in status["reasons"]}


def test_the_second_run_buys_nothing(customer: Shop, api: AnycapApi) -> None:
    """The same rows again are a new batch of pictures that are paid for; --fresh would buy them anew."""
    customer.write("products.csv", ARTICLE)
    first = json.loads(customer.call("run", "products.csv", *MODEL, "--json").stdout)
    planned = customer.json("plan", "products.csv", *MODEL)
    second = json.loads(customer.call("run", "products.csv", *MODEL, "--json").stdout)

    assert (first["published"], first["reused"], first["exit_code"]) == (3, 0, 0)
    assert (planned["reused"], planned["to_buy"], planned["cost"]["high_usd_micros"]) == (3, {}, 0)
    assert (second["published"], second["reused"], second["spent_usd_micros"]) == (3, 3, 0)
    assert second["batch"] != first["batch"]
    assert len(api.charges) == 3
    assert customer.json("plan", "products.csv", *MODEL, "--fresh")["to_buy"] == {"nano-banana-2": 3}


def test_a_changed_row_buys_only_that_row(customer: Shop, api: AnycapApi) -> None:
    """The others' pictures are published again without paying; --fresh pays for all of them."""
    customer.write("products.csv", ARTICLE)
    customer.call("run", "products.csv", *MODEL)
    header, first, *others = ARTICLE.strip().split("\n")
    customer.write("products.csv", "\n".join([header, first + " changed", *others]))
    changed = json.loads(customer.call("run", "products.csv", *MODEL, "--json").stdout)
    assert (changed["published"], changed["reused"], len(api.charges)) == (3, 2, 4)
    assert "changed" in api.charges[-1].prompt
    fresh = json.loads(customer.call("run", "products.csv", *MODEL, "--fresh", "--json").stdout)
    assert (fresh["published"], fresh["reused"], len(api.charges)) == (3, 0, 7)


def test_ctrl_c_finishes_what_is_being_bought_and_the_same_command_goes_on(customer: Shop, api: AnycapApi) -> None:
    """Exit 130 with the batch's name; the second run resumes that batch, and no prompt is paid for twice."""
    rows = [f"SKU-{number},Mug {number},white\n" for number in range(30)]
    customer.write("products.csv", "sku,name,color\n" + "".join(rows))
    gate = api.fault_for = Gate(free=3)
    process = customer.start("run", "products.csv", *MODEL)
    wait_until(lambda: len(api.charges) >= 3 and len(gate.arrived) > 3, 20, "three pictures and more under way")

    interrupt(process)
    assert process.stderr is not None
    wait_until(lambda: "Stopping" in process.stderr.readline(), 10, "the word that it stops")
    gate.open()
    _out, told = process.communicate(timeout=30)

    assert process.returncode == 130
    batch = told.split("Interrupted; ")[1].split()[0]
    assert "Next: the same command" in told
    assert "Traceback" not in told
    assert customer.running() == []
    assert customer.json("status")["batch"] == batch
    again = customer.call("run", "products.csv", *MODEL)
    assert again.returncode == 0, again.stderr
    assert f"going on with {batch}" in again.stderr
    assert "✅ 30/30" in again.stdout
    assert Counter(charge.prompt for charge in api.charges) == dict.fromkeys(gate.arrived, 1)
    assert len(api.charges) == 30


def test_a_second_ctrl_c_stops_at_once_and_leaves_no_orphan(customer: Shop, api: AnycapApi) -> None:
    """A person in a hurry is obeyed: worker, broker and anycap are gone though calls are under way."""
    process, gate = under_way(customer, api)

    interrupt(process)
    assert process.stderr is not None
    wait_until(lambda: "Stopping" in process.stderr.readline(), 10, "the word that it stops")
    interrupt(process)
    process.communicate(timeout=10)

    assert process.returncode == 130
    wait_until(lambda: not customer.running(), 5, "the end of every process")
    assert list(customer.temporary.iterdir()) == []
    gate.open()


def test_a_killed_command_takes_its_stack_along(customer: Shop, api: AnycapApi) -> None:
    """After kill -9 nothing runs on for longer than the calls under way; the next run goes on with the batch."""
    process, gate = under_way(customer, api)

    process.kill()
    gate.open()
    process.communicate(timeout=30)

    wait_until(lambda: not customer.running(), 20, "the end of every process")
    again = customer.call("run", "products.csv", *MODEL)
    assert again.returncode == 0, again.stderr
    assert "going on with" in again.stderr
    assert len(api.charges) == 3


def test_a_command_told_to_stop_stops_in_order(customer: Shop, api: AnycapApi) -> None:
    """SIGTERM, as a service manager sends it, is as good as Ctrl-C."""
    process, gate = under_way(customer, api)

    process.terminate()
    gate.open()
    _out, told = process.communicate(timeout=30)

    assert process.returncode == 130
    assert "Next: the same command" in told
    assert customer.running() == []


def test_a_store_that_cannot_be_written_is_said_before_anything_is_started(shop: Shop) -> None:
    """Pictures that could not be delivered are not bought."""
    shop.write("output", "a file where a folder must be")

    ran = shop.call("run")

    assert ran.returncode == 2
    assert "public storage" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_without_anycap_nothing_is_started(shop: Shop) -> None:
    """A missing program is said before anything is submitted, with the command that installs it."""
    shop.write("products.csv", ARTICLE)

    ran = shop.call("run", "products.csv", *MODEL)

    assert ran.returncode == 2
    assert "npm install -g @anycap/cli" in ran.stderr
    assert not (shop.folder / "output").exists()


def test_rehearsal_pictures_do_not_reach_the_shop_by_accident(shop: Shop) -> None:
    """Preview with a CMS configured is refused without --rehearse-delivery, and delivered with it."""
    shop.write("products.csv", ARTICLE)
    arguments = ("run", "products.csv", "-t", "product", "-m", "preview")
    with CmsStandIn(any_product=True) as cms:
        shop.environment |= cms.environment

        refused = shop.call(*arguments)
        assert (refused.returncode, cms.products) == (2, {})
        assert "--rehearse-delivery" in refused.stderr

        assert shop.call(*arguments, "--rehearse-delivery").returncode == 0
        assert set(cms.products) == {"TSHIRT-001", "MUG-014", "LAMP-7"}


def test_two_runs_in_one_folder_do_not_disturb_each_other(shop: Shop) -> None:
    """Each has a broker and a worker of its own and the ledger in common."""
    shop.write("one.csv", "sku,name,color\n" + "".join(f"A-{n},Mug {n},white\n" for n in range(8)))
    shop.write("two.csv", "sku,name,color\n" + "".join(f"B-{n},Pot {n},black\n" for n in range(8)))

    both = [shop.start("run", name, "-t", "product", "-m", "preview") for name in ("one.csv", "two.csv")]
    told = [process.communicate(timeout=60) for process in both]

    assert [process.returncode for process in both] == [0, 0], told
    assert all("✅ 8/8" in out for out, _err in told)


def test_help_is_quick(shop: Shop) -> None:
    """--help imports neither Celery nor SQLAlchemy nor Pillow, and no command loads what it does not need."""
    heavy = ["celery", "sqlalchemy", "boto3", "redis", "jinja2", "openai", "google.genai", "replicate"]
    for command in ("--help", "models", "cost", "templates"):
        # What a provider can do is said by its class, for which neither key nor SDK is needed.
        more = [] if command == "models" else ["PIL", "requests"]
        code = (
            f"import sys; sys.argv = ['imagechord', {command!r}]\n"
            "from tasks.cli.main import main\n"
            "try: main()\n"
            f"finally: print([name for name in {[*heavy, *more]} if name in sys.modules], file=sys.stderr)"
        )
        ran = subprocess.run(
            [sys.executable, "-c", code],
            env=shop.environment,
            cwd=shop.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.stderr.splitlines()[-1] == "[]", ran.stderr
