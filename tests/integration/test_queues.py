"""Pictures from fal and Replicate with a real worker, called for through the real endpoint, or asked about."""

from __future__ import annotations

from tasks.core.states import State
from tests.integration.conftest import MakeStack
from tests.integration.stack import NERVOUS, Stack, rows
from tests.integration.test_later import endpoint, webhooks
from tests.stand_ins import fal_api, replicate_api
from tests.stand_ins.fal_api import FalApi
from tests.stand_ins.queue_api import QueueApi
from tests.stand_ins.replicate_api import ReplicateApi

NAMES = [f"cup-{number}" for number in range(4)]


def queue_stack(
    make_stack: MakeStack, api: QueueApi, provider: str, model: str, preferences: str = "", **variables: str
) -> Stack:
    """An installation whose model ``queued`` is at the stand-in."""
    stack = make_stack(NERVOUS + preferences, **variables)
    models = stack.folder / "config/models.toml"
    table = f"""
[models.queued]
provider = "{provider}"
model = "{model}"
price_usd = 0.08
price_date = 2026-11-22
price_source = "a test"
sizes = {{ mode = "list", sizes = ["64x64"], parameter = "image_size" }}
deadline_seconds = 60
typical_seconds = 0.5
endpoint = {{ base_url = "{api.url}" }}
"""
    models.write_text(models.read_text() + table)
    return stack


def publish(stack: Stack) -> None:
    """A batch from the queue, by a worker with one thread."""
    stack.start_worker("one", "-c", "1")
    batch_id = stack.submit(rows(NAMES), model="queued")
    stack.start(batch_id)
    stack.wait(batch_id)
    assert set(stack.states(batch_id).values()) == {State.PUBLISHED}
    assert stack.counts(batch_id).spent_usd_micros == len(NAMES) * 80_000


def test_replicates_webhooks_bring_the_pictures(make_stack: MakeStack) -> None:
    """Signed as Replicate signs, sent twice, taken by the endpoint: nothing is bought twice, and nothing asked."""
    with ReplicateApi() as api:
        api.calls = 2
        stack = queue_stack(
            make_stack,
            api,
            "replicate",
            "google/nano-banana-2",
            **webhooks(),
            REPLICATE_API_TOKEN=replicate_api.TOKEN,
            REPLICATE_WEBHOOK_SECRET=api.secret,
        )
        with endpoint(stack):
            publish(stack)
        assert (len(api.paid), api.asked) == (len(NAMES), 0)


def test_a_forged_webhook_of_replicate_wakes_nobody(make_stack: MakeStack) -> None:
    """Signed with another secret, it is refused; the jobs are asked about when their webhooks are overdue."""
    with ReplicateApi() as api:
        stack = queue_stack(
            make_stack,
            api,
            "replicate",
            "google/nano-banana-2",
            "webhook_overdue_seconds = 2\n",
            **webhooks(),
            REPLICATE_API_TOKEN=replicate_api.TOKEN,
            REPLICATE_WEBHOOK_SECRET="whsec_b3RoZXI=",
        )
        with endpoint(stack):
            publish(stack)
        assert len(api.paid) == len(NAMES) <= api.asked


def test_fal_is_asked_where_it_cannot_call(make_stack: MakeStack) -> None:
    """Without WEBHOOK_BASE_URL no webhook is asked for, and the jobs are asked about."""
    with FalApi() as api:
        publish(queue_stack(make_stack, api, "fal", "fal-ai/nano-banana-2", FAL_KEY=fal_api.KEY))
        assert (len(api.paid), {job.webhook_url for job in api.jobs.values()}) == (len(NAMES), {None})
        assert {job.fields["image_size"]["width"] for job in api.jobs.values()} == {64}
