"""A field's value as Wallet writes it on a phone set to British English."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

_DATES = {"Short": "%d/%m/%Y", "Medium": "%-d %b %Y", "Long": "%-d %B %Y", "Full": "%A, %-d %B %Y"}
_CURRENCIES = {"EUR": "€", "GBP": "£", "USD": "$"}


def written(field: Mapping[str, Any]) -> str:
    value = field.get("value", "")
    if isinstance(value, (int, float)):
        return _number(value, field)
    if "dateStyle" in field or "timeStyle" in field:
        return _moment(str(value), field)
    return str(value)


def _number(value: float, field: Mapping[str, Any]) -> str:
    exact = Decimal(str(value))
    if code := field.get("currencyCode"):
        sign = _CURRENCIES.get(str(code), f"{code} ")
        return f"{'-' if exact < 0 else ''}{sign}{abs(exact):,.2f}"
    if field.get("numberStyle") == "PKNumberStylePercent":
        return f"{(exact * 100).normalize():,f}%"
    # Whole numbers without a comma and noughts, others with as many places as they have.
    return f"{exact.to_integral_value():,}" if exact == exact.to_integral_value() else f"{exact.normalize():,f}"


def _moment(value: str, field: Mapping[str, Any]) -> str:
    moment = datetime.fromisoformat(value)
    date_style = str(field.get("dateStyle", "PKDateStyleNone")).removeprefix("PKDateStyle")
    time_style = str(field.get("timeStyle", "PKDateStyleNone")).removeprefix("PKDateStyle")
    parts = [moment.strftime(_DATES[date_style])] if date_style in _DATES else []
    if time_style != "None":
        parts.append(moment.strftime("%H:%M"))
    return " at ".join(parts)
