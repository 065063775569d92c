"""Turn what a front end was given into one value, or refuse it naming the option and what is accepted."""

from __future__ import annotations

import math
import re
from typing import Any, TypeVar

from sweep.errors import OptionError, unknown

_T = TypeVar("_T")

_TRUE = frozenset({"true", "yes", "on", "1"})
MOST = 2**53 - 1  # what JSON keeps
_FALSE = frozenset({"false", "no", "off", "0"})


def text(name: str, value: Any) -> str:
    """Take one value that is not empty."""
    word = str(value).strip() if isinstance(value, str | int | float) else ""
    if not word:
        raise OptionError(f"option `{name}`: expected one value, got {value!r}")
    return word


def items(name: str, value: Any) -> tuple[str, ...]:
    """Split ``a,b`` or a list into its words; refuse an empty list."""
    raw = value if isinstance(value, list | tuple) else str(value).strip("[] ").split(",")
    words = tuple(str(item).strip().strip("'\"") for item in raw)
    if not words or not all(words):
        raise OptionError(f"option `{name}`: empty list item in {value!r}; remedy: give words separated by commas")
    return once(name, value, words)


def once(name: str, value: Any, parsed: tuple[_T, ...]) -> tuple[_T, ...]:
    """Refuse two items that mean the same (``8,08``; ``vgg16,VGG16``): each cell is in the matrix once."""
    if len(set(parsed)) != len(parsed):
        raise OptionError(f"option `{name}`: {value!r} names one thing twice")
    return parsed


def integer(name: str, value: Any, least: int) -> int:
    """Take a whole number from `least`."""
    word = text(name, value)
    if not re.fullmatch(r"-?\d{1,16}", word, re.ASCII) or not least <= int(word) <= MOST:
        raise OptionError(f"option `{name}`: got `{word[:40]}`, accepted: whole numbers from {least} to {MOST}")
    return int(word)


def integers(name: str, value: Any) -> tuple[int, ...]:
    """Take whole numbers from 1."""
    return once(name, value, tuple(integer(name, word, 1) for word in items(name, value)))


def boolean(name: str, value: Any) -> bool:
    """Take true or false, in their usual spellings."""
    word = str(value).strip().lower()
    if word in _TRUE | _FALSE:
        return word in _TRUE
    raise OptionError(f"option `{name}`: got `{value}`, accepted: true, false")


def _number(name: str, value: Any) -> float:
    try:
        return float(text(name, value))
    except ValueError:
        return math.nan


def seconds(name: str, value: Any) -> float:
    """Take a duration."""
    duration = _number(name, value)
    if not 0 <= duration < 1e7:  # noqa: PLR2004 - about four months; also refuses inf and nan
        raise OptionError(f"option `{name}`: got `{value}`, accepted: seconds from 0")
    return duration


def percent(name: str, value: Any) -> float:
    """Take a share."""
    share = _number(name, value)
    if not 0 < share <= 100:  # noqa: PLR2004 - an interval as wide as its figure says nothing
        raise OptionError(f"option `{name}`: got `{value}`, accepted: percent above 0, up to 100")
    return share


def choice(name: str, value: Any, accepted: tuple[str, ...]) -> str:
    """Take one of the accepted words."""
    word = text(name, value)
    if word not in accepted:
        raise OptionError(f"option `{name}`: {unknown('value', word, accepted)}")
    return word
