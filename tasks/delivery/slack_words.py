"""What the Slack messages say, in Korean and English."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tasks.core.errors import ErrorClass
from tasks.core.holds import Reason
from tasks.core.limits import CMS
from tasks.core.outages import S3
from tasks.core.states import State

Language = Literal["ko", "en"]


@dataclass(frozen=True, slots=True)
class Words:
    """One language. Numbers come in already formatted, strangers' text already escaped."""

    started: str
    started_one: str
    next_round: str
    refused: str
    mend: str
    progress: str
    pace: str
    time_left: str
    superseded: str
    budget: str
    page: str
    held: str
    held_images: str
    budget_reached: str
    more_budget: str
    goes_on: str
    lifted: str
    until: str
    falls_back: str
    fallback: str
    finished: str
    also_waiting: str
    reason: str
    published: str
    failed: str
    waiting: str
    skipped_rows: str
    reused: str
    cost: str
    expected_cost: str
    free: str
    duration: str
    model: str
    failures: str
    waits: str
    way_on: str
    by_itself: str
    more_reasons: str
    report: str
    picture: str
    batch: str
    round: str
    hours: str
    minutes: str
    seconds: str
    found_limit: str
    found_where_none: str
    webhook_untold: str
    webhook_given_up: str
    delivery_held: str
    delivery_waits: str
    delivery_goes_on: str
    destinations: dict[str, str]
    reasons: dict[str, str]


KOREAN = Words(
    started="{name}: 이미지 {total}장 생성을 시작합니다",
    started_one="{name}: 이미지 1장 생성을 시작합니다",
    next_round="{name}: {round} 진행을 시작합니다 (이미지 {images}장)",
    refused="{name}: 시작하지 않았습니다 (생성·결제된 이미지 없음)",
    mend="고친 뒤 다시 제출해 주세요. 모든 문제 보기:",
    progress="{name}: {done}/{total} · {percent}%",
    pace="분당 {pace}장",
    time_left="약 {duration} 남음",
    superseded="{name}: {counts} · {round}에서 이어집니다",
    budget="예산",
    page="배치 페이지 열기",
    held="{name}: 일부 이미지를 보류했습니다",
    held_images="대기 {images}장",
    budget_reached="{name}: 예산에 도달했습니다 (사용 {spent} / 예산 {budget})",
    more_budget="예산을 늘려 이어서 진행하기:",
    goes_on="원인을 해결한 뒤 이어서 진행하기:",
    lifted="{name}: 보류했던 이미지를 이어서 진행합니다 ({time})",
    until="{time}에 자동으로 다시 시작합니다",
    falls_back="이미지는 대체 모델로 이어서 생성합니다",
    fallback="{images}장을 {asked} 대신 {model}(으)로 생성 (성공 {published}장)",
    finished="{published}/{total} 성공 · 실패 {failed}",
    also_waiting=" · 대기 {waiting}",
    reason="*{count}장* · {reason}",
    published="성공",
    failed="실패",
    waiting="대기",
    skipped_rows="건너뛴 행",
    reused="재사용",
    cost="비용",
    expected_cost="예상 비용",
    free="무료",
    duration="소요 시간",
    model="모델",
    failures="실패 사유",
    waits="확인이 필요한 이미지",
    way_on="이어서 진행하기:",
    by_itself="때가 되면 자동으로 이어집니다",
    more_reasons="그 밖의 사유 {reasons}건 ({images}장)은 보고서에 있습니다",
    report="보고서 열기",
    picture="이미지 열기",
    batch="배치",
    round="{round}차",
    hours="{hours}시간 {minutes}분",
    minutes="{minutes}분 {seconds}초",
    seconds="{seconds}초",
    found_limit="{model}: 제공사가 분당 약 {found}장까지 허용합니다 (설정값 {configured}장)",
    found_where_none="{model}: 제공사가 분당 약 {found}장까지 허용합니다 (설정값 없음)",
    webhook_untold="웹훅이 응답하지 않아 알림 {events}건을 다시 보냅니다",
    webhook_given_up="웹훅 알림을 중단했습니다 (보내지 못한 알림 {events}건)",
    delivery_held="{destination} 전송을 {since}부터 보류합니다",
    delivery_waits="결제된 이미지는 잃지 않습니다. 복구되면 자동으로 이어서 전송하며, 따로 하실 일은 없습니다.",
    delivery_goes_on="{destination} 전송을 다시 시작했습니다 (보류 시간 {duration})",
    destinations={S3: "공개 저장소", CMS: "CMS"},
    reasons={
        ErrorClass.NOT_SENT: "연결할 수 없음",
        ErrorClass.RATE_LIMITED: "요청 한도 초과",
        ErrorClass.OVERLOADED: "상대 서비스 장애",
        ErrorClass.AMBIGUOUS: "결과를 알 수 없음",
        ErrorClass.NO_IMAGE: "이미지가 오지 않음",
        ErrorClass.BAD_BYTES: "손상된 이미지",
        ErrorClass.REFUSED: "콘텐츠 정책으로 거부됨",
        ErrorClass.INVALID: "잘못된 요청",
        ErrorClass.ACCOUNT: "키·잔액·권한 확인 필요",
        ErrorClass.POISON: "작업자가 거듭 종료됨",
        ErrorClass.LOST: "구매한 이미지를 찾을 수 없음",
        Reason.PAUSED: "일시 정지됨",
        Reason.BUDGET: "배치 예산 소진",
        Reason.DAY_BUDGET: "모델의 하루 예산 소진",
        Reason.FAILURES: "같은 오류가 연속으로 발생",
        Reason.NO_ROOM: "저장 공간 부족",
        Reason.PUBLISH: "게시 전 확인 대기",
        State.CANCELLED: "취소됨",
        State.HELD: "보류됨",
        State.UNKNOWN: "결과를 알 수 없음",
    },
)

ENGLISH = Words(
    started="{name}: generating {total} images",
    started_one="{name}: generating 1 image",
    next_round="{name}: {round} begins (images: {images})",
    refused="{name}: not started (nothing was generated or paid)",
    mend="Mend it and submit it again. Every problem:",
    progress="{name}: {done}/{total} · {percent}%",
    pace="{pace} a minute",
    time_left="about {duration} left",
    superseded="{name}: {counts} · goes on in {round}",
    budget="Budget",
    page="Open the batch page",
    held="{name}: some images are on hold",
    held_images="images waiting: {images}",
    budget_reached="{name}: the budget is reached ({spent} of {budget} spent)",
    more_budget="To go on with more money:",
    goes_on="Mend the cause, then go on with:",
    lifted="{name}: what was held goes on ({time})",
    until="goes on by itself at {time}",
    falls_back="its images go on with a fallback",
    fallback="{images} by {model} instead of {asked} ({published} succeeded)",
    finished="{published}/{total} succeeded · {failed} failed",
    also_waiting=" · {waiting} waiting",
    reason="*{count} ×* {reason}",
    published="Succeeded",
    failed="Failed",
    waiting="Waiting",
    skipped_rows="Skipped rows",
    reused="Reused",
    cost="Cost",
    expected_cost="Expected cost",
    free="free",
    duration="Duration",
    model="Model",
    failures="Why images failed",
    waits="Waiting for you",
    way_on="To go on:",
    by_itself="goes on by itself in time",
    more_reasons="more reasons, in the report: {reasons} (images: {images})",
    report="Open the report",
    picture="Open the picture",
    batch="Batch",
    round="round {round}",
    hours="{hours} h {minutes} min",
    minutes="{minutes} min {seconds} s",
    seconds="{seconds} s",
    found_limit="{model}: the provider allows about {found} a minute, {configured} are configured",
    found_where_none="{model}: the provider allows about {found} a minute, none is configured",
    webhook_untold="The webhook takes nothing; it will be told again (events: {events})",
    webhook_given_up="The webhook is told nothing more (events left: {events})",
    delivery_held="Delivery to {destination} is held since {since}",
    delivery_waits="No paid picture is lost: they wait, and delivery goes on by itself when it is back.",
    delivery_goes_on="Delivery to {destination} goes on, after {duration}",
    destinations={S3: "public storage", CMS: "the CMS"},
    reasons={
        ErrorClass.NOT_SENT: "could not be reached",
        ErrorClass.RATE_LIMITED: "rate limit",
        ErrorClass.OVERLOADED: "the other side was in trouble",
        ErrorClass.AMBIGUOUS: "outcome not known",
        ErrorClass.NO_IMAGE: "no image came",
        ErrorClass.BAD_BYTES: "damaged image",
        ErrorClass.REFUSED: "refused by content policy",
        ErrorClass.INVALID: "invalid request",
        ErrorClass.ACCOUNT: "key, credit or rights",
        ErrorClass.POISON: "its workers died",
        ErrorClass.LOST: "the paid picture is gone",
        Reason.PAUSED: "paused",
        Reason.BUDGET: "the batch's budget is reached",
        Reason.DAY_BUDGET: "the model's budget for the day is reached",
        Reason.FAILURES: "the same error many times in a row",
        Reason.NO_ROOM: "no room to keep what is bought",
        Reason.PUBLISH: "waiting to be looked at before publication",
        State.CANCELLED: "cancelled",
        State.HELD: "held",
        State.UNKNOWN: "outcome not known",
    },
)


def words(language: Language) -> Words:
    """The words of a language."""
    return {"ko": KOREAN, "en": ENGLISH}[language]
