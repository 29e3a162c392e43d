"""The three steps on three machines, and the report that Slack links to."""

from __future__ import annotations

from pathlib import Path

from tasks.core.states import State
from tests.integration.conftest import MakeStack
from tests.integration.stack import PATIENT, prompt_of, rows
from tests.stand_ins.anycap_api import AnycapApi, depicts
from tests.stand_ins.s3_server import S3Server
from tests.stand_ins.slack import SlackStandIn

NAMES = [f"cup-{n}" for n in range(6)]


def test_each_step_may_run_on_a_machine_of_its_own(
    make_stack: MakeStack, api: AnycapApi, moto_server: S3Server, postgres_url: str, tmp_path: Path
) -> None:
    """With PostgreSQL and staging on S3, workers that share no folder and no queue publish a batch together."""
    for bucket in ("machines-public", "machines-staging"):
        moto_server.create_public_bucket(bucket)
    stack = make_stack(
        IMAGECHORD_DATABASE_URL=postgres_url,
        S3_BUCKET="machines-public",
        STAGING_URL="s3://machines-staging/waiting",
        PUBLIC_BASE_URL=moto_server.public_url("machines-public"),
        **moto_server.environment,
    )
    stack.python("from tasks.cli.main import main; import sys; sys.argv = ['imagechord', 'migrate']; main()")
    for queue in ("quick", "deliver", "control"):
        stack.environment["IMAGECHORD_HOME"] = str(tmp_path / queue)
        stack.start_worker(queue, "-Q", f"imagechord.{queue}")
    batch_id = stack.run(rows(NAMES))
    assert set(stack.states(batch_id).values()) == {State.PUBLISHED}
    assert len(api.charges) == len(NAMES)
    for name, image in stack.images(batch_id).items():
        body = moto_server.client.get_object(Bucket="machines-public", Key=str(image.output_key))["Body"].read()
        assert depicts(body, prompt_of(name))


def test_slack_links_to_a_report_that_is_there(make_stack: MakeStack) -> None:
    """Where ``report_base_url`` says that reports are served, the worker writes the one that it links to."""
    with SlackStandIn() as slack:
        stack = make_stack(PATIENT + 'report_base_url = "https://reports.example.com"\n', **slack.environment)
        worker = stack.start_worker()
        batch_id = stack.run(rows(NAMES[:2]))
        worker.terminate()
        worker.process.wait(30)
        report = stack.folder / "output" / "reports" / batch_id / "index.html"
        assert f"https://reports.example.com/{batch_id}/index.html" in str(slack.messages[-1])
        assert all(name in report.read_text("utf-8") for name in NAMES[:2])
