"""What the admin says, in Korean and English side by side; whose language it is, Django knows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.functional import lazy
from django.utils.translation import get_language

_PAIRS: Mapping[str, tuple[str, str]] = {
    "batch": ("배치", "batch"),
    "batches": ("배치", "batches"),
    "image": ("이미지", "image"),
    "images": ("이미지", "images"),
    "name": ("이름", "name"),
    "phase": ("단계", "phase"),
    "template": ("템플릿", "template"),
    "model": ("모델", "model"),
    "state": ("상태", "state"),
    "total": ("이미지 수", "images"),
    "spent": ("사용액", "spent"),
    "budget": ("예산", "budget"),
    "cost": ("비용", "cost"),
    "created_at": ("생성 시각", "created"),
    "moved_at": ("변경 시각", "last moved"),
    "progress": ("진행 상황", "progress"),
    "open": ("열기", "open"),
    "page": ("페이지", "page"),
    "source_row": ("원본 행", "source row"),
    "problems": ("문제", "problems"),
    "no_ledger": (
        "원장을 읽을 수 없습니다. 'imagechord doctor'로 확인하세요: {error}",
        "The ledger cannot be read; 'imagechord doctor' says why: {error}",
    ),
    "generate": ("이미지 생성…", "Generate images…"),
    "generate_title": ("이미지 생성", "Generate images"),
    "chosen": ("선택한 항목 {count}개의 이미지를 생성합니다.", "Pictures of {count} chosen records."),
    "batch_name": ("배치 이름", "name of the batch"),
    "default_model": ("기본 모델", "the default model"),
    "budget_usd": ("예산(USD)", "budget in US dollars"),
    "budget_help": ("이 금액을 넘기지 않습니다.", "Never spend more than this."),
    "rehearse": ("연습 이미지도 게시", "let rehearsal cards reach the shop"),
    "rehearse_help": (
        "'preview' 모델의 연습 이미지를 실제 쇼핑몰에 게시하려는 경우에만 선택하세요.",
        "Only for the models that draw offline, such as 'preview', and only if that is what you want.",
    ),
    "show_plan": ("계획 보기", "Show the plan"),
    "start": ("시작", "Start"),
    "plan": ("계획", "Plan"),
    "rows": ("행", "rows"),
    "bad_rows": ("사용할 수 없는 행", "rows that cannot be used"),
    "paid_already": ("이미 구매한 이미지", "paid already"),
    "cost_of_plan": (
        "최소 {low} · 예상 {expected} · 최대 {high}",
        "{low} low · {expected} expected · {high} high",
    ),
    "free": ("무료", "free"),
    "time": ("예상 시간", "time"),
    "minutes": ("약 {minutes}분", "about {minutes} min"),
    "of_the_first": (
        "처음 {count}개만 계획에 반영했습니다. 전체는 워커가 계획합니다.",
        "Of the first {count} alone; a worker plans them all.",
    ),
    "first_prompts": ("첫 프롬프트", "The first prompts"),
    "changed": (
        "계획을 본 뒤에 값이 바뀌었습니다. 새 계획을 확인하세요.",
        "Something was changed since the plan was shown; this is the plan now.",
    ),
    "started": ("배치 {batch}: 이미지 생성을 시작했습니다.", "Batch {batch}: the pictures are being made."),
    "no_worker": (
        "{queues} 큐를 처리하는 워커가 없습니다. 워커를 시작할 때까지 배치가 기다립니다: celery -A tasks worker",
        "No worker serves {queues}; the batch waits until you start one: celery -A tasks worker",
    ),
}


def say(name: str, **values: Any) -> str:
    """Words in the language of the request that is being answered; with their braces where no values are given."""
    korean, english = _PAIRS[name]
    words = korean if (get_language() or "").startswith("ko") else english
    return words.format(**values) if values else words


say_later = lazy(say, str)
"""The same for what is made before there is a request, such as names of fields."""
