"""Pictures that failed are done again from their rows, with another template or model where that is wished."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from tasks import retrying, submission
from tasks.core.errors import InputError
from tasks.core.request import Request
from tasks.core.selection import Edit, Selection
from tasks.core.states import State
from tasks.core.views import ImageView
from tasks.ledger import reading
from tasks.ledger.retrying import planned_by
from tasks.ledger.schema import batch, image
from tasks.services import Services
from tasks.settings import load_settings
from tests.integration.stack import MODELS, PROMPTS, _model

ROWS = [{"code": f"A-{n}", "title": f"cup {n}", "model": "other" if n == 2 else ""} for n in range(3)]
OPTIONS: dict[str, Any] = {
    "template": "tiny",
    "model": "quick",
    "column_map": {"name": "title", "sku": "code"},
}

OpenServices = Callable[..., Services]


@pytest.fixture
def open_services(tmp_path: Path) -> Iterator[OpenServices]:
    """A process with nothing but a ledger, opened anew with another configuration at each call."""
    variables = {"IMAGECHORD_CONFIG": str(tmp_path / "config")}
    (tmp_path / "config").mkdir()
    with ExitStack() as opened:

        def make(prompts: str = PROMPTS, models: str = MODELS, **more: str) -> Services:
            (tmp_path / "config" / "models.toml").write_text(models)
            (tmp_path / "config" / "prompts.toml").write_text(prompts)
            made = Services(load_settings(variables | more, tmp_path))
            opened.callback(made.ledger.close)
            return made

        yield make


def failed_batch(services: Services, **options: Any) -> str:
    """A batch of which every picture has failed."""
    batch_id = submission.submit(services, Request(ROWS, **(OPTIONS | options))).batch_id
    with services.ledger.write() as connection:
        connection.execute(
            update(image)
            .where(image.c.batch_id == batch_id)
            .values(state=State.FAILED, error_class="overloaded", error_step="generate", error_message="503")
        )
    return batch_id


def images(services: Services, batch_id: str) -> list[ImageView]:
    """By line."""
    return sorted(reading.images(services.ledger, batch_id), key=lambda view: view.line)


def test_a_template_that_was_reworded_makes_new_prompts(open_services: OpenServices) -> None:
    """Rows are read through the columns that were named when they were submitted; a row keeps its own model."""
    batch_id = failed_batch(open_services())
    services = open_services(PROMPTS.replace("A small picture", "A fine picture"))
    before = images(services, batch_id)
    done = retrying.retry(services, batch_id, Selection(), Edit(template="tiny"))
    assert done.images == 3
    after = images(services, batch_id)
    assert [view.prompt for view in after] == [f"A fine picture of cup {n}." for n in range(3)]
    assert [view.model for view in after] == ["quick", "quick", "other"]
    assert {view.state for view in after} == {State.PLANNED}
    assert not {view.fingerprint for view in before} & {view.fingerprint for view in after}
    assert "fine" in planned_by(services.ledger, batch_id).catalogue["templates"]["tiny"]["prompt"]


def test_without_an_edit_nothing_is_planned_anew(open_services: OpenServices) -> None:
    """The same prompts and fingerprints, whatever the templates say by now."""
    batch_id = failed_batch(open_services())
    services = open_services(PROMPTS.replace("A small picture", "A fine picture"))
    before = images(services, batch_id)
    retrying.retry(services, batch_id, Selection())
    assert [view.fingerprint for view in images(services, batch_id)] == [view.fingerprint for view in before]


def test_another_model_counts_for_every_row_and_keeps_the_prompts(open_services: OpenServices) -> None:
    """Also for the row whose column names one, and though the template was reworded since."""
    batch_id = failed_batch(open_services())
    services = open_services(PROMPTS.replace("A small picture", "A fine picture"))
    retrying.retry(services, batch_id, Selection.of(None, ["A-1", "A-2"]), Edit(model="SLOW"))
    after = images(services, batch_id)
    assert [view.model for view in after] == ["quick", "slow", "slow"]
    assert [view.state for view in after] == [State.FAILED, State.PLANNED, State.PLANNED]
    assert after[2].prompt == "A small picture of cup 2."


def test_a_model_that_is_new_joins_the_batchs_catalogue(open_services: OpenServices) -> None:
    """With its price of today; what the batch had frozen stays as it was."""
    batch_id = failed_batch(open_services())
    services = open_services(models=MODELS.replace("0.03", "0.09") + _model("newest", ""))
    retrying.retry(services, batch_id, Selection(), Edit(model="newest"))
    prices = planned_by(services.ledger, batch_id).catalogue["prices_usd_micros"]
    assert (prices["newest"], prices["quick"]) == (30_000, 30_000)


def test_a_known_model_stays_as_it_was_frozen(open_services: OpenServices) -> None:
    """A picture is named by what it is bought by: both are what the batch knows."""
    first = open_services()
    batch_id = failed_batch(first)
    before = images(first, batch_id)
    services = open_services(models=MODELS.replace("quick-1", "quick-2"))
    retrying.retry(services, batch_id, Selection.of(None, ["A-0"]), Edit(model="quick"))
    assert images(services, batch_id)[0].fingerprint == before[0].fingerprint


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (Edit(template="tinny"), "unknown template 'tinny' – did you mean 'tiny'"),
        (Edit(model="quik"), "unknown model 'quik' – did you mean 'quick'"),
        (Edit(template="coloured"), "template 'coloured' needs a column for {colour}"),
        (Edit(model="terse"), "3 rows cannot be planned like that; nothing was changed"),
    ],
)
def test_an_edit_that_cannot_be_changes_nothing(open_services: OpenServices, edit: Edit, says: str) -> None:
    """Every row that is in the way is named."""
    coloured = '\n[templates.coloured]\nsize = "64x64"\nprompt = "{name} in {colour}"\n'
    services = open_services(PROMPTS + coloured, MODELS + _model("terse", "max_prompt_chars = 5"))
    batch_id = failed_batch(services)
    with pytest.raises(InputError) as refused:
        retrying.retry(services, batch_id, Selection(), edit)
    assert says in str(refused.value)
    if edit.model == "terse":
        assert len(refused.value.problems) == 3
    assert {view.state for view in images(services, batch_id)} == {State.FAILED}
    assert reading.find_batch(services.ledger, batch_id).round == 1


def test_rehearsal_pictures_do_not_reach_a_shop(open_services: OpenServices) -> None:
    """As when a batch is submitted; whoever wants it says so."""
    services = open_services(CMS_URL="http://127.0.0.1:9")
    batch_id = failed_batch(services)
    with pytest.raises(InputError, match="--rehearse-delivery"):
        retrying.retry(services, batch_id, Selection(), Edit(model="preview"))
    assert retrying.retry(services, batch_id, Selection(), Edit(model="preview"), rehearse_delivery=True).images == 3


def test_a_model_without_a_price_is_asked_for_by_name(open_services: OpenServices) -> None:
    """Editing it in does not make it free."""
    unpriced = '[models.drawn]\nprovider = "preview"\nmodel = "preview"\nsizes = { mode = "any" }\n'
    services = open_services(models=MODELS + unpriced)
    batch_id = failed_batch(services)
    with pytest.raises(InputError, match="--allow-unpriced"):
        retrying.retry(services, batch_id, Selection(), Edit(model="drawn"))
    assert retrying.retry(services, batch_id, Selection(), Edit(model="drawn"), allow_unpriced=True).images == 3


@pytest.mark.parametrize(
    ("selection", "says"),
    [
        (Selection.of("acount"), "in {} there is overloaded"),
        (Selection.of(None, ["A-1", "B-1"]), "no picture of {} has the key 'B-1'"),
    ],
)
def test_words_that_the_batch_does_not_know_are_refused(
    open_services: OpenServices, selection: Selection, says: str
) -> None:
    """With what there is instead."""
    services = open_services()
    batch_id = failed_batch(services)
    with pytest.raises(InputError) as refused:
        retrying.retry(services, batch_id, selection)
    assert says.format(batch_id) in str(refused.value)


def test_a_batch_that_is_not_started_cannot_be_retried(open_services: OpenServices) -> None:
    """Nothing of it has failed."""
    services = open_services()
    batch_id = failed_batch(services)
    with services.ledger.write() as connection:
        connection.execute(update(batch).values(phase="refused"))
    with pytest.raises(InputError, match="is refused"):
        retrying.retry(services, batch_id, Selection())


def test_a_retired_model_is_not_retried_with(open_services: OpenServices) -> None:
    """One that is gone is refused; one that falls back on another brings it along, and needs its price."""
    batch_id = failed_batch(open_services())
    gone = _model("gone", "retires = 2026-10-29\n")
    later = _model("later", 'fallback = ["last"]\n') + _model("last", "")
    services = open_services(models=MODELS + gone + later)
    with pytest.raises(InputError, match="gone was retired on 2026-10-29"):
        retrying.retry(services, batch_id, Selection(), Edit(model="gone"))
    assert {view.state for view in images(services, batch_id)} == {State.FAILED}
    retrying.retry(services, batch_id, Selection(), Edit(model="later"))
    assert {"later", "last"} <= set(planned_by(services.ledger, batch_id).catalogue["models"])
    third = _model("third", 'fallback = ["fourth"]\n') + _model("fourth", "").replace("price_usd = 0.03\n", "")
    services = open_services(models=MODELS + third)
    with services.ledger.write() as connection:
        connection.execute(update(image).values(state=State.FAILED))
    with pytest.raises(InputError, match="fourth has no price"):
        retrying.retry(services, batch_id, Selection(), Edit(model="third"))
