"""The commands that look at a batch, at the catalogue and at the machine."""

from __future__ import annotations

import csv
import io
import json
from datetime import datetime
from pathlib import Path

from tasks.cli.main import COMMANDS
from tests.integration.cli.shop import ARTICLE, Shop
from tests.stand_ins.cms import CmsStandIn
from tests.stand_ins.ports import free_ports
from tests.stand_ins.slack import SlackStandIn


def test_help_lists_every_command_in_its_group(shop: Shop) -> None:
    """Each command says the same about itself in the list and on its own page, where its options are."""
    listed = shop.call("--help").stdout
    for group in ("Run", "Watch", "Look", "Set up"):
        assert f"─ {group} ─" in listed
    for command in COMMANDS:
        assert command.summary in " ".join(listed.replace("│", " ").split())


def test_plan_tells_everything_and_touches_nothing(shop: Shop) -> None:
    """Rows, columns, sizes, cost low to high in both currencies, manual design, time, prompts – and no file made."""
    shop.write("products.csv", ARTICLE.replace("navy blue", "남색"), encoding="cp949")

    ran = shop.call("plan", "products.csv", "-t", "blog_hero", "-m", "seedream-5", "--map", "topic=name")

    assert ran.returncode == 0, ran.stderr
    assert "3 rows, 3 pictures" in ran.stdout
    assert "CP949, delimiter: comma" in ran.stdout
    assert "sku ← sku, topic ← name, style ← default" in " ".join(ran.stdout.split())
    assert "$0.0450 (₩63) low · $0.0464 (₩65) expected · $0.14 (₩189) high" in " ".join(ran.stdout.split())
    assert "$15 – $30" in ran.stdout
    assert "1200x630" in ran.stdout
    assert "Classic T-Shirt. 블로그" in ran.stdout
    assert shop.files() == {"products.csv"}


def test_plan_marks_what_must_be_enlarged(shop: Shop) -> None:
    """A size beyond the model is shown as such before it is paid for."""
    shop.write("products.csv", "sku,name,color,size\nA,Mug,white,8000x8000\nB,Mug,white,1024x1024\n")

    planned = shop.json("plan", "products.csv", "-t", "product", "-m", "nano-banana-2")

    assert {size["asked"]: size["enlarged"] for size in planned["sizes"]} == {"8000x8000": True, "1024x1024": False}


def test_plan_lists_every_problem_and_is_exit_code_2(shop: Shop) -> None:
    """More problems than run shows; with --skip-bad-rows the good rows are a plan."""
    shop.write(
        "products.csv", "sku,name,color\n" + ",,\n" * 0 + "".join(f"A-{n},,white\n" for n in range(80)) + "B,Mug,red\n"
    )

    bad = shop.call("plan", "products.csv", "-t", "product")
    assert bad.returncode == 2
    assert bad.stderr.count("column 'name'") == 80
    assert "line 81" in bad.stderr
    told = shop.call("run", "products.csv", "-t", "product")
    assert "… and 30 more; imagechord plan lists them all" in told.stderr

    planned = json.loads(shop.call("plan", "products.csv", "-t", "product", "--skip-bad-rows", "--json").stdout)
    assert (planned["rows"], planned["bad_rows"], planned["images"], len(planned["problems"])) == (81, 80, 1, 80)
    assert planned["problems"][0]["line"] == 2


def test_plan_prints_every_prompt_when_asked(shop: Shop) -> None:
    """In the text and in the data."""
    rows = "sku,name,color\n" + "".join(f"A-{n},Mug {n}.,white\n" for n in range(7))
    shop.write("products.csv", rows)
    arguments = ("plan", "products.csv", "-t", "product_en")

    assert all(f"Mug {n}." in shop.call(*arguments, "--prompts").stdout for n in (0, 6))
    assert "Mug 6." not in shop.call(*arguments).stdout
    prompts = shop.json(*arguments, "--prompts")["prompts"]
    assert [prompt["sku"] for prompt in prompts] == [f"A-{n}" for n in range(7)]


def test_status_says_where_a_batch_stands(rehearsed: Shop) -> None:
    """By name, by the beginning of its id, and as the latest; all batches with --all."""
    status = rehearsed.json("status")
    batch = status["batch"]

    assert (status["name"], status["total"], status["counts"], status["skipped_rows"]) == (
        "autumn",
        3,
        {"published": 3},
        1,
    )
    assert datetime.fromisoformat(status["started_at"]).tzinfo is not None
    assert rehearsed.json("status", "autumn")["batch"] == batch
    assert rehearsed.json("status", batch[:10])["batch"] == batch
    assert batch in [listed["batch"] for listed in rehearsed.json("status", "--all")]
    assert "3 of 3 published" in rehearsed.call("status").stdout
    assert batch in rehearsed.call("status", "--all").stdout


def test_an_unknown_batch_is_exit_code_2(rehearsed: Shop) -> None:
    """With the command that lists those there are."""
    ran = rehearsed.call("status", "b-99")

    assert ran.returncode == 2
    assert "no batch 'b-99'" in ran.stderr
    assert "imagechord status --all" in ran.stderr


def test_show_tells_one_pictures_history(rehearsed: Shop) -> None:
    """Row, prompt, calls with outcome and cost, URL on a line of its own, and the CMS's receipt."""
    shown = rehearsed.call("show", "A-1").stdout
    data = rehearsed.json("show", "A-1")

    assert "A-1: published" in shown
    assert "머그컵" in shown
    assert any(line.strip().startswith("file:///") and line.endswith(".jpg") for line in shown.splitlines())
    (picture,) = data["pictures"]
    assert picture["row"]["color"] == "흰색"
    assert [(call["number"], call["outcome"], call["cost_usd_micros"]) for call in data["calls"]] == [
        (1, "generated", 0)
    ]
    assert Path(picture["public_url"].removeprefix("file://")).is_file()


def test_show_of_an_unknown_key_is_exit_code_2(rehearsed: Shop) -> None:
    """It says that rows were skipped, for that may be why."""
    ran = rehearsed.call("show", "../x")

    assert ran.returncode == 2
    assert "1 of its rows were skipped" in ran.stderr


def test_report_writes_the_contact_sheet_and_prints_its_path(rehearsed: Shop) -> None:
    """The path is all that standard output holds, so that a script can open it."""
    path = Path(rehearsed.call("report", "autumn").stdout.strip())

    assert "A-4" in path.read_text("utf-8")
    assert rehearsed.json("report")["path"] == str(path)


def test_export_writes_the_manifest(rehearsed: Shop) -> None:
    """CSV to standard output, JSON lines by format or ending: one line for each picture and each skipped row."""
    rows = list(csv.DictReader(io.StringIO(rehearsed.call("export").stdout)))
    lines = rehearsed.call("export", "--format", "jsonl").stdout.splitlines()
    rehearsed.call("export", "--output", "manifest.jsonl")

    assert [(row["sku"], row["state"]) for row in rows] == [
        ("A-1", "published"),
        ("A-2", "published"),
        ("A-4", "published"),
        ("", "skipped"),
    ]
    assert [json.loads(line)["line"] for line in lines] == [2, 3, 5, 4]
    assert (rehearsed.folder / "manifest.jsonl").read_text("utf-8").splitlines() == lines


def test_export_for_excel_is_safe_and_whole(rehearsed: Shop) -> None:
    """A byte order mark, the original columns, and no cell that Excel would compute."""
    rehearsed.call("export", "--failed", "--excel", "--output", "failed.csv")
    written = (rehearsed.folder / "failed.csv").read_bytes()

    assert written.startswith(b"\xef\xbb\xbf")
    (row,) = csv.DictReader(io.StringIO(written.decode("utf-8-sig")))
    assert (row["sku"], row["name"], row["_error_class"]) == ("../x", "Chair", "skipped_row")


def test_failed_rows_as_json_lines_can_be_run_again(rehearsed: Shop) -> None:
    """The row in its own columns, and the reason behind them."""
    ran = rehearsed.call("export", "--failed", "--output", "failed.jsonl", "--json")

    assert json.loads(ran.stdout)["path"] == "failed.jsonl"
    (row,) = map(json.loads, (rehearsed.folder / "failed.jsonl").read_text("utf-8").splitlines())
    assert (row["sku"], row["name"], row["_error_class"]) == ("../x", "Chair", "skipped_row")
    planned = rehearsed.call("plan", "failed.jsonl", "-t", "product", "--json")
    assert "../x" in json.loads(planned.stdout)["problems"][0]["value"]


def test_export_refuses_what_contradicts_itself_or_cannot_be_written(rehearsed: Shop) -> None:
    """Both are exit code 2 with the option named."""
    for arguments, told in (
        (("--excel", "--format", "jsonl"), "--excel writes CSV"),
        (("--output", "no/such/folder.csv"), "--output no/such/folder.csv cannot be written"),
    ):
        ran = rehearsed.call("export", *arguments)
        assert (ran.returncode, told in ran.stderr, "Traceback" in ran.stderr) == (2, True, False)


def test_watching_a_finished_batch_says_goodbye_at_once(rehearsed: Shop) -> None:
    """Summary, report and next command, with the batch's exit code."""
    ran = rehearsed.call("watch", "autumn")

    assert ran.returncode == 0
    assert "3/3" in ran.stdout
    assert "--failed --output failed.csv" in ran.stderr


def test_cost_is_the_articles_table(shop: Shop) -> None:
    """100 to 100,000 pictures by model, manual design beside them, each price with date and source."""
    told = shop.call("cost").stdout
    data = shop.json("cost")

    table = {" ".join(line.split()) for line in told.splitlines()}
    assert "100 ~$0.50 ~$1.50 ~$13.40 $500 – $1,000" in table
    assert "1,000 ~$5.00 ~$15.00 ~$134.00 $5,000 – $10,000" in table
    assert "10,000 ~$50.00 ~$150.00 ~$1,340.00 $50,000 and more" in table
    assert "practically impossible" in " ".join(told.split())
    assert "2026-05-01, the source article" in " ".join(told.split())
    article = {row["images"]: row["cost_usd_micros"]["nano-banana-2"] for row in data["volumes"]}
    assert article == {100: 500_000, 1_000: 5_000_000, 10_000: 50_000_000, 100_000: 500_000_000}
    assert data["volumes"][-1]["manual_design"]["possible"] is False
    assert all(price["date"] and price["source"] for price in data["prices"])
    assert [row["images"] for row in shop.json("cost", "500", "7")["volumes"]] == [500, 7]


def test_models_and_templates_tell_what_there_is(shop: Shop) -> None:
    """Reasons, prices, limits and sizes of the models; fields, columns and text of the templates."""
    models = {model["alias"]: model for model in shop.json("models")["models"]}
    templates = {template["name"]: template for template in shop.json("templates")["templates"]}

    assert {"nano-banana-2", "seedream-5", "nano-banana-pro", "preview"} <= set(models)
    assert models["nano-banana-2"]["price_usd_micros"] == 5000
    assert models["seedream-5"]["limits"]["per_minute"] == 30
    assert all(model["why"] for model in models.values())
    assert {"product_hero", "blog_hero", "social_post", "product", "lifestyle"} <= set(templates)
    fields = {field["field"]: field["columns"] for field in templates["product_hero"]["fields"]}
    assert fields["product_name"][:2] == ["product_name", "name"]
    assert "nano-banana-2  (default)" in shop.call("models").stdout
    assert "1200x630" in shop.call("templates").stdout


def test_doctor_on_a_bare_machine_is_content_and_leaves_no_trace(shop: Shop) -> None:
    """Nothing is configured: the embedded stack will do, exit 0, and no file is made."""
    ran = shop.call("doctor")

    assert ran.returncode == 0, ran.stdout
    assert "brings a Valkey and a worker of its own" in ran.stdout
    assert "off  anycap" in ran.stdout
    assert "npm install -g @anycap/cli" in ran.stdout
    assert shop.files() == set()


def test_doctor_says_where_each_value_comes_from_and_never_a_secret(shop: Shop) -> None:
    """Environment, .env or default; a token shows as set, and in no other way."""
    with CmsStandIn() as cms, SlackStandIn() as slack:
        shop.write(".env", f"CMS_URL={cms.url}\nSLACK_WEBHOOK_URL={slack.webhook_url}\n")
        shop.environment["CMS_TOKEN"] = cms.token

        ran = shop.call("doctor")
        data = shop.json("doctor")

    lines = [" ".join(line.split()) for line in ran.stdout.splitlines()]
    assert f"CMS_URL {cms.url} from .env" in lines
    assert "CMS_TOKEN (secret) from environment" in lines
    assert {"component": "cms", "status": "ok"}.items() <= next(
        one for one in data["components"] if one["component"] == "cms"
    ).items()
    assert {one["name"]: one["source"] for one in data["variables"]}["S3_BUCKET"] == "default"
    for secret in (cms.token, "secret-of-the-webhook"):
        assert secret not in ran.stdout + ran.stderr + json.dumps(data)


def test_doctor_is_exit_code_2_when_something_is_bad(shop: Shop) -> None:
    """Each component that does not answer is named with its mend."""
    port = free_ports(1)[0]
    shop.environment |= {"CMS_URL": f"http://127.0.0.1:{port}", "REDIS_URL": f"redis://:hush@127.0.0.1:{port}/0"}

    ran = shop.call("doctor")

    assert ran.returncode == 2
    assert "bad  broker: redis://127.0.0.1" in ran.stdout
    assert "bad  workers: none has ever used this ledger" in ran.stdout
    assert "celery -A tasks worker" in ran.stdout
    assert "bad  cms" in ran.stdout
    assert "hush" not in ran.stdout + ran.stderr
    assert "(broker, workers, cms)" in ran.stderr


def test_migrate_brings_a_database_to_this_version(shop: Shop) -> None:
    """From nothing, and harmless when there is nothing to do."""
    first, second = shop.json("migrate"), shop.json("migrate")

    assert first["before"] is None
    assert first["after"] == second["before"] == second["after"]
    shop.environment["IMAGECHORD_DATABASE_URL"] = "mysql://root@localhost/shop"
    ran = shop.call("migrate")
    assert (ran.returncode, "'mysql'" in ran.stderr, "Traceback" in ran.stderr) == (2, True, False)
