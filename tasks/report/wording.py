"""The words of the contact sheet, in Korean and English, kept side by side so that neither falls behind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

Language = Literal["ko", "en"]

_PAIRS: Mapping[str, tuple[str, str]] = {
    "contact_sheet": ("콘택트 시트", "Contact sheet"),
    "batch": ("배치", "Batch"),
    "round": ("회차", "Round"),
    "published": ("게시됨", "Published"),
    "of": ("/", "of"),
    "failed": ("게시 안 됨", "Not published"),
    "waiting": ("확인 대기", "Waiting for you"),
    "skipped_rows": ("건너뛴 행", "Skipped rows"),
    "cost": ("비용", "Cost"),
    "per_picture": ("이미지당 {cost}", "{cost} per published picture"),
    "reused": ("재사용", "reused"),
    "duration": ("소요 시간", "Duration"),
    "what_went_wrong": ("확인이 필요한 항목", "What needs a look"),
    "all": ("전체", "All"),
    "filter": ("상태로 거르기", "Filter by state"),
    "search": ("SKU 검색", "Search by SKU"),
    "shown": ("{total}개 중 {shown}개 표시", "{shown} of {total} shown"),
    "nothing_matches": ("조건에 맞는 이미지가 없습니다.", "Nothing here matches."),
    "only_this_page": (
        "검색과 필터는 이 페이지에만 적용됩니다. 다른 페이지도 확인하세요.",
        "Search and filter look at this page only; try the others too.",
    ),
    "empty_batch": ("이 배치에는 이미지가 없습니다.", "This batch has no images."),
    "open_picture": ("이미지 열기", "Open picture"),
    "no_preview": ("미리보기 없음", "No preview"),
    "line": ("행", "line"),
    "prompt": ("프롬프트", "Prompt"),
    "details": ("상세 정보", "Details"),
    "source_row": ("원본 행", "Source row"),
    "template": ("템플릿", "Template"),
    "size": ("크기", "Size"),
    "attempts": ("시도", "Attempts"),
    "output_key": ("출력 키", "Output key"),
    "url": ("URL", "URL"),
    "cms_receipt": ("CMS 응답", "CMS receipt"),
    "created_at": ("생성 시각", "Created"),
    "published_at": ("게시 시각", "Published"),
    "fingerprint": ("지문", "Fingerprint"),
    "pages": ("페이지", "Pages"),
    "skip_to_pictures": ("이미지로 건너뛰기", "Skip to the pictures"),
    "list_separator": (", ", ", "),
}

_STATES: Mapping[str, tuple[str, str]] = {
    "skipped": ("건너뜀", "Skipped"),
    "failed": ("실패", "Failed"),
    "refused": ("거절됨", "Refused"),
    "unknown": ("결과 불명", "Unknown"),
    "held": ("보류", "Held"),
    "cancelled": ("취소됨", "Cancelled"),
    "planned": ("예정", "Planned"),
    "queued": ("대기 중", "Queued"),
    "generating": ("생성 중", "Generating"),
    "generated": ("생성됨", "Generated"),
    "uploaded": ("업로드됨", "Uploaded"),
    "published": ("게시됨", "Published"),
}

_CLASSES: Mapping[str, tuple[str, str]] = {
    "not_sent": ("연결 실패", "Not reachable"),
    "rate_limited": ("호출 한도 초과", "Rate limit"),
    "overloaded": ("서비스 장애", "Service in trouble"),
    "ambiguous": ("결과 불명", "Outcome unknown"),
    "no_image": ("이미지 없음", "No image came"),
    "bad_bytes": ("손상된 이미지", "Broken image"),
    "refused": ("콘텐츠 정책", "Content policy"),
    "invalid": ("잘못된 요청", "Invalid request"),
    "account": ("키·크레딧·한도", "Key, credit or quota"),
    "paused": ("일시 정지", "Paused"),
    "budget": ("배치 예산 소진", "Budget reached"),
    "day_budget": ("하루 예산 소진", "Day's budget reached"),
    "failures": ("같은 오류 반복", "Same error again and again"),
    "no_room": ("저장 공간 부족", "No room"),
    "publish": ("게시 전 확인 대기", "Waits to be looked at"),
    "cancelled": ("취소됨", "Cancelled"),
    "poison": ("작업자 비정상 종료", "Worker died of it"),
    "lost": ("구매한 이미지 없음", "Paid picture gone"),
    "skipped_row": ("잘못된 행", "Bad row"),
}

_AGAIN = (
    "`imagechord export --failed`로 행을 받아 다시 실행하세요.",
    "export these rows with `imagechord export --failed` and run that file.",
)
_RETRY = (
    "`imagechord retry`로 다시 시도하세요 (보류된 이미지는 `imagechord resume`).",
    "try again with `imagechord retry`, or what is on hold with `imagechord resume`.",
)

_MENDS: Mapping[str, tuple[str, str]] = {
    "not_sent": (
        f"`imagechord doctor`로 주소와 네트워크를 확인한 뒤, {_RETRY[0]}",
        f"Check the address and the network with `imagechord doctor`, then {_RETRY[1]}",
    ),
    "rate_limited": (
        f"`config/models.toml`의 한도를 낮춘 뒤, {_RETRY[0]}",
        f"Lower the model's limits in `config/models.toml`, then {_RETRY[1]}",
    ),
    "overloaded": (f"잠시 뒤 {_RETRY[0]}", f"Later on, {_RETRY[1]}"),
    "ambiguous": (
        "이미 과금되었을 수 있습니다. 서비스의 사용 내역을 먼저 확인하세요.",
        "It may have been paid for: look at the provider's own records first.",
    ),
    "no_image": (f"잠시 뒤 {_RETRY[0]}", f"Later on, {_RETRY[1]}"),
    "bad_bytes": (f"잠시 뒤 {_RETRY[0]}", f"Later on, {_RETRY[1]}"),
    "refused": (
        f"같은 프롬프트는 다시 거절됩니다. 문구를 고치세요: {_AGAIN[0]}",
        f"The same prompt will be refused again. To reword it, {_AGAIN[1]}",
    ),
    "invalid": (
        f"그대로 다시 보내도 같습니다. 메시지에 적힌 값을 고치세요: {_AGAIN[0]}",
        f"Sending it again as it is will not help. Mend what the message names, then {_AGAIN[1]}",
    ),
    "lost": (
        "스테이징 저장소(STAGING_URL)를 복구한 뒤 배치를 재개하세요. 그대로 재개하면 다시 구매합니다.",
        "Bring staging (STAGING_URL) back and resume the batch; resumed as it is, the picture is bought again.",
    ),
    "account": (
        "`imagechord doctor`로 API 키, 크레딧, 사용 한도를 확인하세요.",
        "Check the API key, the credit and the quota with `imagechord doctor`.",
    ),
    "paused": ("`imagechord resume`으로 이어서 진행하세요.", "Go on with `imagechord resume`."),
    "budget": (
        "`imagechord resume --budget USD`로 예산을 늘려 이어서 진행하세요.",
        "Go on with more money: `imagechord resume --budget USD`.",
    ),
    "day_budget": ("다음 날 자동으로 이어집니다.", "It goes on by itself the next day."),
    "failures": (
        "메시지의 원인을 해결한 뒤 `imagechord resume`으로 이어서 진행하세요.",
        "Mend what the message names, then go on with `imagechord resume`.",
    ),
    "no_room": (
        "메시지에 나온 폴더의 공간을 비운 뒤 `imagechord resume`으로 이어서 진행하세요.",
        "Free space in the folder that the message names, then go on with `imagechord resume`.",
    ),
    "publish": (
        "확인한 이미지는 `imagechord publish`로 게시하세요.",
        "Look at them, then publish them with `imagechord publish`.",
    ),
    "cancelled": (
        "`imagechord retry --only cancelled`로 취소를 되돌릴 수 있습니다.",
        "`imagechord retry --only cancelled` takes it back.",
    ),
    "poison": (
        "이 이미지를 처리하던 작업자가 거듭 종료되었습니다. 작업자 로그와 시스템 로그(메모리 부족 등)를 확인하세요.",
        "Workers died with it again and again: their logs, or the system's (out of memory?), say why.",
    ),
    "skipped_row": (f"행을 고치세요: {_AGAIN[0]}", f"To mend it, {_AGAIN[1]}"),
}


def words(language: Language) -> dict[str, str]:
    """The sheet's own words."""
    return in_language(language, _PAIRS)


def state_labels(language: Language) -> dict[str, str]:
    """A label for every state, and for ``skipped``; ordered as the filter shows them."""
    return in_language(language, _STATES)


def class_labels(language: Language) -> dict[str, str]:
    """A label for every error class."""
    return in_language(language, _CLASSES)


def mends(language: Language) -> dict[str, str]:
    """What to do about every error class; commands and file names stand in backticks."""
    return in_language(language, _MENDS)


def duration(seconds: float, language: Language) -> str:
    """``3725`` → ``1 h 2 min`` or ``1시간 2분``; seconds are shown below an hour."""
    whole = max(0, round(seconds))
    hours, minutes, rest = whole // 3600, whole % 3600 // 60, whole % 60
    units = ("시간", "분", "초") if language == "ko" else (" h", " min", " s")
    parts = [f"{amount}{unit}" for amount, unit in zip((hours, minutes, rest), units, strict=True) if amount]
    return " ".join(parts[:2]) or f"0{units[2]}"


def in_language(language: Language, pairs: Mapping[str, tuple[str, str]]) -> dict[str, str]:
    """One side of Korean and English pairs."""
    column = 0 if language == "ko" else 1
    return {name: pair[column] for name, pair in pairs.items()}
