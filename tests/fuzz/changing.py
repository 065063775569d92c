"""Documents and bytes with something changed, as strategies of hypothesis."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

CALM = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""For machines that do something else as well."""

_JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from([0, -1, 1, 2**31, 2**53, 2**63, 2**64, -(2**63) - 1, 10**30, 0.0, -1.0, 1e300, 5e-324]),
    st.sampled_from(["", "\0", "../..", "a" * 1000, "1", "NaN", "\ud7ff", "é", "true", "eager", "tcp"]),
    st.integers(-3, 40),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=8),
    st.lists(st.integers(-3, 40), max_size=3),
    st.dictionaries(st.text(max_size=4), st.integers(0, 3), max_size=2),
)


@st.composite
def changed(draw: st.DrawFn, document: Any) -> Any:
    """Give a JSON document with one to three of its values replaced, removed, repeated or added to."""
    made = copy.deepcopy(document)
    for _ in range(draw(st.integers(1, 3))):
        places = list(_places(made))
        if not places:
            return draw(_JUNK)
        holder, key = draw(st.sampled_from(places))
        how = draw(st.sampled_from(["replace", "replace", "replace", "remove", "repeat", "add"]))
        if how == "replace":
            holder[key] = draw(_JUNK)
        elif how == "remove":
            del holder[key]
        elif how == "repeat" and isinstance(holder, list):
            holder.insert(key, copy.deepcopy(holder[key]))
        elif isinstance(holder, dict):
            holder[draw(st.text(max_size=5))] = draw(_JUNK)
        else:
            holder.append(draw(_JUNK))
    return made


def _places(document: Any) -> Iterator[tuple[Any, Any]]:
    """Give each value's holder and key, at any depth."""
    keys = document.keys() if isinstance(document, dict) else range(len(document)) if isinstance(document, list) else ()
    for key in keys:
        yield document, key
        yield from _places(document[key])


@st.composite
def changed_bytes(draw: st.DrawFn, data: bytes) -> bytes:
    """Give bytes with one to four stretches overwritten, left out, put in or cut off."""
    made = bytearray(data)
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(made)))
        piece = draw(st.one_of(st.binary(min_size=1, max_size=8), st.sampled_from([b"\xff" * 8, bytes(8), b"[" * 600])))
        how = draw(st.sampled_from(["overwrite", "overwrite", "insert", "remove", "cut"]))
        if how == "overwrite":
            made[place : place + len(piece)] = piece
        elif how == "insert":
            made[place:place] = piece
        elif how == "remove":
            del made[place : place + len(piece)]
        else:
            del made[place:]
    return bytes(made)
