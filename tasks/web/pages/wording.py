"""The words of the batch pages, in Korean and English, beside those that they share with the contact sheet."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from tasks.core.cost import ManualCost
from tasks.core.holds import Hold
from tasks.core.limits import CMS, LimitState, format_rate
from tasks.core.money import format_usd
from tasks.core.outages import S3, Outage
from tasks.report import wording
from tasks.report.wording import Language

_PAIRS: Mapping[str, tuple[str, str]] = {
    "batches": ("배치 목록", "Batches"),
    "no_batches": ("아직 배치가 없습니다.", "There is no batch yet."),
    "no_batches_mend": (
        "`imagechord run products.csv --template product_hero`로 시작하세요.",
        "Start one with `imagechord run products.csv --template product_hero`.",
    ),
    "login": ("로그인", "Sign in"),
    "logout": ("로그아웃", "Sign out"),
    "login_token": ("접속 토큰", "Access token"),
    "login_wrong": ("토큰이 맞지 않습니다.", "That is not the token."),
    "login_where": (
        "서버의 IMAGECHORD_WEB_TOKEN 값입니다.",
        "It is the server's IMAGECHORD_WEB_TOKEN.",
    ),
    "state": ("상태", "State"),
    "older": ("이전 배치 보기", "Older batches"),
    "newest": ("처음으로", "Back to the newest"),
    "skip_to_content": ("본문으로 건너뛰기", "Skip to the content"),
    "skip_to_pictures": ("이미지로 건너뛰기", "Skip to the pictures"),
    "language": ("언어", "Language"),
    "pace": ("속도", "Pace"),
    "per_minute": ("분당 {rate}", "{rate}/min"),
    "time_left": ("남은 시간", "Time left"),
    "about": ("약 {time}", "about {time}"),
    "not_known": ("알 수 없음", "not known"),
    "spent": ("비용", "Spent"),
    "of_budget": ("/ 예산 {budget}", "of {budget}"),
    "no_budget": ("예산 제한 없음", "no budget set"),
    "reserved": ("진행 중 {cost}", "{cost} in flight"),
    "budget_use": ("예산 사용", "Budget used"),
    "models": ("모델과 한도", "Models and limits"),
    "model": ("모델", "Model"),
    "done": ("완료", "Done"),
    "left": ("남음", "Left"),
    "limits": ("적용 중인 한도", "Limits in force"),
    "no_limit": ("제한 없음", "none"),
    "at_once": ("동시 {now}/{most}", "{now} of {most} at once"),
    "per_day": ("하루 {now}/{most}", "{now} of {most} today"),
    "found_limit": (
        "제공사가 분당 약 {found}장까지 허용합니다 (설정값 {configured})",
        "the provider allows about {found} a minute, {configured} configured",
    ),
    "none_configured": ("없음", "none"),
    "paused_for": ("제공사 요청으로 {time} 동안 멈춤", "paused for {time}: the provider asked for it"),
    "whole_batch": ("배치 전체", "Whole batch"),
    "until": ("{time}에 자동으로 다시 시작", "goes on by itself at {time}"),
    "falls_back": ("대체 모델로 이어서 생성", "goes on with a fallback"),
    "delivery_held": (
        "{destination} 전송이 {since}부터 보류되었고, 복구되면 자동으로 이어집니다: {message}",
        "Delivery to {destination} is held since {since} and goes on by itself when it is back: {message}",
    ),
    "summary": ("요약", "Summary"),
    "by_hand": ("수작업 디자인이라면", "The same by hand"),
    "and_more": ("{low} 이상", "{low} and more"),
    "impossible": ("사실상 불가능", "practically impossible"),
    "fallbacks": ("대체 모델", "Fallbacks"),
    "fallback": (
        "{asked} 대신 {model}: {images}장 (게시 {published}장)",
        "{images} by {model} instead of {asked} ({published} published)",
    ),
    "unpriced": ("가격을 모르는 모델: {models}", "models without a price: {models}"),
    "slack_failed": ("Slack 전송 실패", "Slack was not told"),
    "webhook": ("웹훅", "Webhook"),
    "webhook_told": ("모두 전송됨", "everything is told"),
    "webhook_untold": ("이벤트 {events}건 대기 중", "{events} events not told yet"),
    "webhook_given_up": ("이벤트 {events}건을 남기고 중단됨", "given up with {events} events left"),
    "report": ("콘택트 시트 열기", "Open the contact sheet"),
    "problems": ("시작하지 않은 이유", "Why it was not started"),
    "planning": (
        "워커가 행을 읽고 있거나, 워커를 기다리고 있습니다.",
        "A worker is reading the rows, or the batch waits for one.",
    ),
    "more_skipped": ("외 {count}행", "and {count} more"),
    "pictures": ("이미지", "Pictures"),
    "arrivals": ("최근 순", "Latest"),
    "search_again": ("찾기", "Search"),
    "none_yet": ("완성된 이미지가 여기에 나타납니다.", "Pictures appear here as they are made."),
    "more": ("다음 이미지", "More pictures"),
    "first": ("처음으로", "Back to the first"),
    "pause": ("일시 정지", "Pause"),
    "resume": ("이어서 진행", "Resume"),
    "cancel": ("취소", "Cancel"),
    "retry": ("다시 시도", "Try again"),
    "edit": ("바꿔서 다시 시도", "Change and try again"),
    "raise_budget": ("예산 늘리기", "Raise the budget"),
    "publish": ("게시", "Publish"),
    "by_itself": ("때가 되면 자동으로 이어집니다", "goes on by itself in time"),
    "back": ("돌아가기", "Back"),
    "cancel_title": ("배치를 취소할까요?", "Cancel the batch?"),
    "cancel_text": (
        "더 이상 구매하거나 전송하지 않습니다. 진행 중인 호출은 마무리되고 결제된 이미지는 보관됩니다.",
        "Nothing more is bought or delivered. Calls in flight are settled, and paid pictures are kept.",
    ),
    "cancel_now": ("배치 취소", "Cancel the batch"),
    "budget_title": ("예산을 얼마로 할까요?", "What shall the budget be?"),
    "budget_text": (
        "지금까지 {spent}을 썼습니다. 배치 전체의 새 예산을 미국 달러로 적어 주세요.",
        "{spent} is spent so far. Give the new budget of the whole batch, in US dollars.",
    ),
    "budget_field": ("새 예산 (USD)", "New budget (USD)"),
    "edit_title": ("무엇을 바꿀까요?", "What shall be different?"),
    "edit_text": (
        "이 이미지들의 템플릿이나 모델을 바꾸세요. 거절된 프롬프트는 그대로 보내면 다시 거절됩니다.",
        "Choose another template or model for these pictures. What was refused is refused again as it is.",
    ),
    "unchanged": ("그대로", "as it was"),
    "retry_cost": (
        "다시 생성하는 이미지는 비용이 듭니다. 이미 구매한 이미지는 다시 구매하지 않습니다.",
        "Pictures that are made anew cost their price; what is bought already is not paid again.",
    ),
    "history": ("진행 기록", "History"),
    "no_calls": ("아직 호출하지 않았습니다.", "No call was made yet."),
    "bought_before": (
        "전에 구매한 이미지를 재사용했습니다.",
        "The picture was bought before; nothing was paid for it here.",
    ),
    "call": ("호출", "Call"),
    "underway": ("진행 중", "under way"),
    "before": ("이전 회차", "Before"),
    "revision": (
        "{round}회차: {model}, 템플릿 {template} — {state}",
        "Round {round}: {model}, template {template} – {state}",
    ),
    "fell_back_to": ("{model}(으)로 이어서 진행", "went on with {model}"),
    "tried_again": ("다시 시도함", "tried again"),
    "public_url": ("공개 URL", "Public URL"),
    "starts_from": ("참조 이미지", "Starts from"),
    "instead_of": ("{model} 대신", "instead of {model}"),
    "facts": ("정보", "Facts"),
    "not_found": ("페이지를 찾을 수 없습니다", "There is no such page"),
    "not_found_text": (
        "주소를 확인하거나 배치 목록으로 돌아가세요.",
        "Check the address, or go back to the list of batches.",
    ),
    "not_done": ("처리하지 못했습니다", "That could not be done"),
    "noted_pause": ("배치를 일시 정지했습니다.", "The batch is paused."),
    "noted_resume": ("배치를 이어서 진행합니다.", "The batch goes on."),
    "noted_cancel": ("배치를 취소했습니다.", "The batch is cancelled."),
    "noted_retry": ("이미지 {images}장을 다시 시도합니다.", "Pictures that are tried again: {images}."),
    "noted_publish": ("이미지 {images}장을 게시합니다.", "Pictures that are published now: {images}."),
}

_STANDS: Mapping[str, tuple[str, str]] = {
    "planning": ("준비 중", "Planning"),
    "refused": ("시작하지 않음", "Not started"),
    "running": ("진행 중", "Running"),
    "paused": ("일시 정지됨", "Paused"),
    "waiting": ("확인 대기", "Waiting for you"),
    "finished": ("완료", "Finished"),
    "failures": ("실패 포함 완료", "Finished with failures"),
    "cancelled": ("취소됨", "Cancelled"),
}

_STEPS: Mapping[str, tuple[str, str]] = {
    "generate": ("생성", "generation"),
    "upload_s3": ("업로드", "upload"),
    "patch_cms": ("CMS 반영", "CMS"),
}

_DESTINATIONS: Mapping[str, tuple[str, str]] = {S3: ("공개 저장소", "public storage"), CMS: ("CMS", "the CMS")}


@cache
def words(language: Language) -> dict[str, str]:
    """The sheet's words, and those of the pages."""
    return wording.words(language) | wording.in_language(language, _PAIRS)


@cache
def stand_labels(language: Language) -> dict[str, str]:
    """A label for every :class:`tasks.web.pages.stands.Stand`."""
    return wording.in_language(language, _STANDS)


@cache
def step_labels(language: Language) -> dict[str, str]:
    """A label for every step in which an image can fail."""
    return wording.in_language(language, _STEPS)


def rate(per_minute: float, language: Language) -> str:
    """``60/min`` or ``분당 60``."""
    return words(language)["per_minute"].format(rate=format_rate(per_minute))


def time_left(seconds: float | None, language: Language) -> str:
    """To the minute when it is long."""
    told = words(language)
    if seconds is None:
        return told["not_known"]
    rounded = seconds if seconds < 600 else 60 * round(seconds / 60)
    return told["about"].format(time=wording.duration(rounded, language))


def limits(limit: LimitState, language: Language) -> str:
    """``60/min · 3 of 8 at once · 120 of 2,000 today``: what is in force, and how much of it is used."""
    told, parts = words(language), []
    if limit.in_force_per_minute is not None:
        parts.append(rate(limit.in_force_per_minute, language))
    if limit.in_flight:
        parts.append(told["at_once"].format(now=f"{limit.in_flight_now:,}", most=f"{limit.in_flight:,}"))
    if limit.per_day:
        parts.append(told["per_day"].format(now=f"{limit.started_today:,}", most=f"{limit.per_day:,}"))
    return " · ".join(parts) or told["no_limit"]


def limit_notes(limit: LimitState, language: Language) -> list[str]:
    """What one should know of a limit beside its numbers: one was found, the model is paused."""
    told, notes = words(language), []
    if limit.found_per_minute is not None:
        configured = told["none_configured"] if limit.per_minute is None else format_rate(limit.per_minute)
        notes.append(told["found_limit"].format(found=format_rate(limit.found_per_minute), configured=configured))
    if limit.paused_seconds:
        notes.append(told["paused_for"].format(time=wording.duration(limit.paused_seconds, language)))
    return notes


def by_hand(cost: ManualCost, language: Language) -> str:
    """What people would charge: ``$500 – $1,000``, ``$50,000 and more``, or that nobody could."""
    told = words(language)
    if not cost.possible:
        return told["impossible"]
    low = format_usd(cost.low).removesuffix(".00")
    high = None if cost.high is None else format_usd(cost.high).removesuffix(".00")
    return told["and_more"].format(low=low) if high is None else f"{low} – {high}"


def hold(held: Hold, until: str, language: Language) -> str:
    """``seedream-5: Key, credit or quota – HTTP 402``, and how it goes on. ``until`` is empty when nobody knows."""
    told = words(language)
    reason = wording.class_labels(language).get(held.reason, held.reason)
    parts = [f"{held.model or told['whole_batch']}: {reason} – {held.message}"]
    parts += [told["until"].format(time=until)] if until else []
    parts += [told["falls_back"]] if held.falls_back else []
    return ", ".join(parts)


def held_delivery(outage: Outage, since: str, language: Language) -> str:
    """Since when pictures wait for a destination, why, and that nobody need do anything else."""
    destination = wording.in_language(language, _DESTINATIONS)[outage.destination]
    return words(language)["delivery_held"].format(destination=destination, since=since, message=outage.message)
