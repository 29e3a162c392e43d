"""Money: reserved before a call and booked after it, against the batch's budget and the model's for the day."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, func, or_, select, update

from tasks.core.day_budget import DayBudget
from tasks.core.holds import Reason
from tasks.core.money import format_usd
from tasks.ledger.rows import Claim
from tasks.ledger.schema import attempt, batch, model_day
from tasks.ledger.upsert import insert_new

# Built once: making a statement costs more than running it.
_PRICE = bindparam("price", type_=batch.c.reserved_usd_micros.type)
_OF_BATCH = update(batch).where(batch.c.id == bindparam("the_batch"))
_RESERVE = _OF_BATCH.where(
    or_(
        batch.c.budget_usd_micros.is_(None),
        batch.c.spent_usd_micros + batch.c.reserved_usd_micros + _PRICE <= batch.c.budget_usd_micros,
    )
).values(reserved_usd_micros=batch.c.reserved_usd_micros + _PRICE)
_RETURN = _OF_BATCH.values(reserved_usd_micros=batch.c.reserved_usd_micros - _PRICE)
_BOOK = _OF_BATCH.values(
    reserved_usd_micros=batch.c.reserved_usd_micros - _PRICE,
    spent_usd_micros=batch.c.spent_usd_micros + bindparam("spent"),
)
_OF_DAY = update(model_day).where(model_day.c.model == bindparam("the_model"), model_day.c.day == bindparam("the_day"))
_RESERVE_DAY = _OF_DAY.where(
    model_day.c.spent_usd_micros + model_day.c.reserved_usd_micros + _PRICE <= bindparam("most")
).values(reserved_usd_micros=model_day.c.reserved_usd_micros + _PRICE)
_BOOK_DAY = _OF_DAY.values(
    reserved_usd_micros=model_day.c.reserved_usd_micros - _PRICE,
    spent_usd_micros=model_day.c.spent_usd_micros + bindparam("spent"),
)


@dataclass(frozen=True, slots=True)
class Shortage:
    """Why there is no money for a call. ``passes``: calls in flight have reserved it and may yet leave it.

    ``until`` is when there is money again, where that is known.
    """

    reason: Reason
    message: str
    passes: bool
    until: datetime | None = None


def reserve(connection: Connection, batch_id: str, model: str, price: int, day: DayBudget | None) -> Shortage | None:
    """Set the price of a call aside, in both budgets or in none; ``None`` when that was possible."""
    mine = {"the_batch": batch_id, "price": price}
    if connection.execute(_RESERVE, mine).rowcount != 1:
        return _batch_shortage(connection, batch_id, price)
    if day is None or _reserve_day(connection, model, price, day):
        return None
    connection.execute(_RETURN, mine)
    return _day_shortage(connection, model, price, day)


def _batch_shortage(connection: Connection, batch_id: str, price: int) -> Shortage:
    money = connection.execute(
        select(batch.c.budget_usd_micros, batch.c.spent_usd_micros).where(batch.c.id == batch_id)
    )
    budget, spent = money.one()
    message = f"the batch's budget of {format_usd(budget)} is reached: {format_usd(spent)} are spent"
    return Shortage(Reason.BUDGET, message, passes=spent + price <= budget)


def _reserve_day(connection: Connection, model: str, price: int, day: DayBudget) -> bool:
    values = {"the_model": model, "the_day": day.day, "price": price, "most": day.limit_usd_micros}
    if connection.execute(_RESERVE_DAY, values).rowcount == 1:
        return True
    return _open_day(connection, model, day) and connection.execute(_RESERVE_DAY, values).rowcount == 1


def _open_day(connection: Connection, model: str, day: DayBudget) -> bool:
    """Begin the day's account with what was spent before there was a budget; whether it had not begun."""
    calls = select(func.coalesce(func.sum(attempt.c.cost_usd_micros), 0))
    spent = connection.scalar(calls.where(attempt.c.model == model, attempt.c.started_at >= day.began))
    account = {"model": model, "day": day.day, "reserved_usd_micros": 0, "spent_usd_micros": int(spent or 0)}
    return insert_new(connection, model_day, list(model_day.primary_key), account)


def _day_shortage(connection: Connection, model: str, price: int, day: DayBudget) -> Shortage:
    this = (model_day.c.model == model, model_day.c.day == day.day)
    spent = connection.execute(select(model_day.c.spent_usd_micros).where(*this)).scalar_one()
    limit = day.limit_usd_micros
    message = f"the budget of {model} for {day.day}, {format_usd(limit)}, is reached: {format_usd(spent)} are spent"
    return Shortage(Reason.DAY_BUDGET, message, passes=spent + price <= limit, until=day.ends)


def book(connection: Connection, claim: Claim, spent: int) -> None:
    """Turn the reservation into what was spent. Last of all: every claim of the batch waits for these rows."""
    amounts: dict[str, Any] = {"price": claim.price_usd_micros, "spent": spent}
    connection.execute(_BOOK, {"the_batch": claim.batch_id, **amounts})
    if claim.budget_day is not None:
        connection.execute(_BOOK_DAY, {"the_model": claim.spec["alias"], "the_day": claim.budget_day, **amounts})
