"""What must be true when a run is over. Each gate compares books, and says in a sentence what is wrong."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from tasks.core.retry import RetryRules
from tasks.core.states import ENDED, WAITING, State
from tests.chaos.books import Books, Image
from tests.chaos.bucket import BUCKET
from tests.chaos.installation import IN_FLIGHT
from tests.stand_ins.anycap_api import depicts

Gate = Callable[[Books], Iterator[str]]

_RULES = RetryRules()
_PAID_FAILURES = ("no_image", "bad_bytes")
_COUNTS = re.compile(r"([\d,]+)/([\d,]+) succeeded · ([\d,]+) failed(?: · ([\d,]+) waiting)?")
_EXAMPLES = 5


@dataclass(frozen=True)
class Finding:
    """A gate that does not hold."""

    gate: str
    words: str

    def __str__(self) -> str:
        return f"{self.gate}: {self.words}"


def check(books: Books) -> list[Finding]:
    """Everything that is wrong, by gate."""
    return [Finding(gate.__name__, words) for gate in GATES for words in gate(books)]


def it_ends(books: Books) -> Iterator[str]:
    """The run came to its end, and all of its schedule happened before that."""
    if books.stalled:
        yield books.stalled
    elif books.missed_events:
        yield f"{books.missed_events} events of the schedule were never due"


def every_row_has_one_end(books: Books) -> Iterator[str]:
    """Each row asked for is one image, and has ended (or is held); the counts add up at every moment."""
    keys = Counter(image.key for image in books.images)
    if keys != Counter(books.keys):
        yield f"{len(books.keys)} rows were submitted, {len(books.images)} images are in the ledger"
    moving = [image for image in books.images if image.state not in ENDED | WAITING]
    if moving:
        yield f"{len(moving)} images have no end: {_named(moving)}"
    wrong = [sample for sample in books.samples if sample.images != len(books.keys)]
    if wrong:
        yield f"the counts added up to {wrong[0].images} instead of {len(books.keys)}, in {len(wrong)} looks"


def ends_are_deserved(books: Books) -> Iterator[str]:
    """Only what the content policy forbids is refused; only what has used up its tries has failed.

    Only for want of money is anything held.
    """
    refused = [each for each in books.in_state(State.REFUSED) if each.prompt not in books.refused_prompts]
    if refused:
        yield f"{len(refused)} images were refused by nobody: {_named(refused)}"
    failed = [each for each in books.in_state(State.FAILED) if not _has_used_up_its_tries(each)]
    if failed:
        yield f"{len(failed)} images failed too early: {_named(failed)}"
    if others := books.in_state(State.CANCELLED, State.UNKNOWN):
        yield f"{len(others)} images were put aside by nobody: {_named(others)}"
    # What was in flight when the money ran out may have cost nothing.
    at_most = (IN_FLIGHT + 1) * books.price_usd_micros
    out_of_money = books.budget_usd_micros - books.spent_usd_micros <= at_most
    held = [each for each in books.in_state(State.HELD) if each.error_class != "budget" or not out_of_money]
    if held:
        yield f"{len(held)} images are held without need: {_named(held)}"


def _has_used_up_its_tries(image: Image) -> bool:
    tries = image.attempts >= _RULES.max_attempts or image.delivery_attempts >= _RULES.max_delivery_attempts
    return tries or image.unknowns > 1


def ledger_cms_and_bucket_agree(books: Books) -> Iterator[str]:
    """What the ledger calls published is in the CMS, under that very URL, and its picture is there; nothing else."""
    published = {image.key: image.public_url for image in books.in_state(State.PUBLISHED)}
    in_cms = {key: url for key, url in books.products.items() if url is not None}
    if published != in_cms:
        different = sorted(key for key in published.keys() | in_cms.keys() if published.get(key) != in_cms.get(key))
        yield f"ledger and CMS differ in {len(different)} products: {', '.join(different[:_EXAMPLES])}"
    uploaded = {image.output_key for image in books.images if image.output_key is not None}
    if uploaded != books.objects.keys():
        different = sorted(uploaded ^ books.objects.keys())
        yield f"ledger and bucket differ in {len(different)} objects: {', '.join(different[:_EXAMPLES])}"
    lost = [key for key, url in in_cms.items() if _object_key(url) not in books.objects]
    if lost:
        yield f"the URLs of {len(lost)} products lead nowhere: {', '.join(lost[:_EXAMPLES])}"


def _object_key(url: str) -> str:
    return unquote(urlsplit(url).path).removeprefix(f"/{BUCKET}/")


def pictures_show_their_own_prompt(books: Books) -> Iterator[str]:
    """The bytes behind each published image's URL are the picture of its prompt."""
    wrong = [
        image
        for image in books.in_state(State.PUBLISHED)
        if (data := books.objects.get(image.output_key or "")) is not None and not depicts(data, image.prompt)
    ]
    if wrong:
        yield f"{len(wrong)} pictures show something else: {_named(wrong)}"


def bought_once(books: Books) -> Iterator[str]:
    """By the maker's count each picture was charged once, and once more for each unknown outcome or bad answer."""
    outcomes = Counter((attempt.image_id, attempt.outcome) for attempt in books.attempts)
    allowed: Counter[str] = Counter()
    for image in books.images:
        allowed[image.prompt] += image.unknowns + sum(outcomes[image.id, each] for each in _PAID_FAILURES)
    charged = Counter(charge.prompt for charge in books.charges)
    twice = [prompt for prompt, charges in charged.items() if charges > 1 + allowed[prompt]]
    if twice:
        first = twice[0]
        yield (
            f"{len(twice)} pictures were bought too often: {first!r} {charged[first]} times, "
            f"with {allowed[first]} unknown outcomes or bad answers in the ledger"
        )
    if len(books.charges) > len({image.fingerprint for image in books.images}) + allowed.total():
        yield f"{len(books.charges)} charges are more than fingerprints and {allowed.total()} recorded repetitions"


def every_charge_was_claimed(books: Books) -> Iterator[str]:
    """Each charge is of an attempt that the ledger knew of, and no attempt was charged twice."""
    known = {(attempt.image_id, attempt.fence) for attempt in books.attempts}
    charged = Counter(_claim_of(charge.request_id) for charge in books.charges)
    unclaimed = sum(claim not in known for claim in charged)
    if unclaimed:
        yield f"{unclaimed} charges are of no attempt in the ledger"
    twice = sum(charges > 1 for charges in charged.values())
    if twice:
        yield f"{twice} attempts were charged more than once"


def _claim_of(request_id: str) -> tuple[int, int]:
    _fingerprint, image_id, fence = request_id.split("-")
    return int(image_id), int(fence)


def unknowns_are_explained(books: Books) -> Iterator[str]:
    """No more outcomes are unknown than calls can have been in flight in lost workers, or ended unclearly."""
    unknowns = sum(image.unknowns for image in books.images)
    unclear, died = books.unclear_calls, books.lost_slots
    if unknowns > unclear + died:
        yield f"{unknowns} unknown outcomes, where {unclear} calls ended unclearly and at most {died} died"


def money_adds_up(books: Books) -> Iterator[str]:
    """What was charged is booked, three ways the same; the budget held at every moment."""
    charged = len(books.charges) * books.price_usd_micros
    if books.spent_usd_micros < charged:
        yield f"{charged} micro-dollars were charged, {books.spent_usd_micros} are booked"
    by_attempt = sum(attempt.cost_usd_micros or 0 for attempt in books.attempts)
    by_image = sum(image.cost_usd_micros for image in books.images)
    if not books.spent_usd_micros == by_attempt == by_image:
        yield f"booked: {books.spent_usd_micros} for the batch, {by_image} by image, {by_attempt} by attempt"
    over = [each for each in books.samples if each.spent_usd_micros + each.reserved_usd_micros > each.budget_usd_micros]
    if over:
        yield f"the budget of {over[0].budget_usd_micros} was exceeded in {len(over)} looks"


def one_true_summary(books: Books) -> Iterator[str]:
    """Slack was told of the start once, and once of the end of each round, at last with the ledger's numbers.

    A round that a person ended by a pause may have had no rest to tell of.

    The one exception that the promise makes (a worker that dies between sending and noting it) is kept out of a run:
    nobody is killed in its last tenth.
    """
    begun, held = (sum(words.startswith(mark) for words in books.messages) for mark in ("🚀", "⏸️"))
    ends = [match for words in books.messages if words.startswith(("✅", "⚠️")) and (match := _COUNTS.search(words))]
    as_many_as_rounds = books.round - books.pauses <= len(ends) <= books.round
    if begun != 1 or not as_many_as_rounds or held > books.round or begun + held + len(ends) != len(books.messages):
        got = f"{begun} starts, {len(ends)} summaries and {held} holds in {len(books.messages)} messages"
        yield f"Slack got {got}, for {books.round} rounds"
    said = [[int((number or "0").replace(",", "")) for number in match.groups()] for match in ends]
    published, waiting = len(books.in_state(State.PUBLISHED)), len(books.in_state(*WAITING))
    true = [published, len(books.keys), len(books.in_state(*(ENDED - {State.PUBLISHED}))), waiting]
    if said and said[-1] != true:
        yield f"the summary says {said[-1]}, the ledger has {true} (published, total, failed, waiting)"


def nothing_is_left_over(books: Books) -> Iterator[str]:
    """No money is reserved, no image is held by a worker, no call unsettled, no message unsent or unread."""
    reserved = sum(image.reserved_usd_micros for image in books.images)
    if books.reserved_usd_micros or reserved:
        yield f"still reserved: {books.reserved_usd_micros} for the batch, {reserved} for its images"
    if owned := [image for image in books.images if image.worker_id is not None]:
        yield f"{len(owned)} images belong to a worker: {_named(owned)}"
    if unsettled := sum(attempt.outcome is None for attempt in books.attempts):
        yield f"{unsettled} attempts were never settled"
    if books.unsent_summaries:
        yield f"{books.unsent_summaries} messages to Slack are claimed and not sent"
    if books.left_in_queues:
        yield f"messages are left in the queues: {dict(books.left_in_queues)}"


def _named(images: Sequence[Image]) -> str:
    return ", ".join(
        f"{each.key} {each.state} ({each.attempts} calls, {each.unknowns} unknown, "
        f"{each.delivery_attempts} deliveries, {each.error_class}: {each.error_message})"
        for each in images[:_EXAMPLES]
    )


GATES: Sequence[Gate] = (
    it_ends,
    every_row_has_one_end,
    ends_are_deserved,
    ledger_cms_and_bucket_agree,
    pictures_show_their_own_prompt,
    bought_once,
    every_charge_was_claimed,
    unknowns_are_explained,
    money_adds_up,
    one_true_summary,
    nothing_is_left_over,
)
