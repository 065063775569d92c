"""Profile one model on one device by its inner play, ``playbooks/profile_device.yml``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from stage_runtime.formats.profile import ProfileAnswer, ProfileRequest
from sweep.errors import PlayError
from sweep.plays import Result, run_play

_TASK = "Run the model block by block"
_LONGEST_REASON = 500


def ask_device(
    device: str,
    request: ProfileRequest,
    *,
    inventory: str,
    work: Path,
    secret_file: Path,
    variables: Mapping[str, Any],
    cancelled: Callable[[], bool],
) -> ProfileAnswer:
    """Have a device's stage make a profile; whatever goes wrong is an answer too."""
    answers: list[ProfileAnswer] = []

    def take(_host: str, task: str, result: Result) -> None:
        if task.endswith(_TASK):
            answers.append(read_answer(result))

    try:
        result = run_play(
            "profile_device",
            inventory=inventory,
            work=work,
            limit=device,
            variables=dict(variables)
            | {
                "profile_device": device,
                "profile_request": msgspec.to_builtins(request),
                "profile_secret_file": str(secret_file.resolve()),
            },
            on_result=take,
            cancelled=cancelled,
        )
    except PlayError as exc:
        return ProfileAnswer(status="failed", reason=str(exc))
    if answers:
        return answers[0]
    return ProfileAnswer(status="failed", reason=result.reasons.get(device, "it was stopped"))


def read_answer(result: Result) -> ProfileAnswer:
    """Read what the control command printed."""
    said = str(result.get("stdout", "")).strip()
    try:
        return msgspec.json.decode(said.splitlines()[-1] if said else "", type=ProfileAnswer)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        more = f"{result.get('stderr', '')} {said}".strip()[-_LONGEST_REASON:]
        return ProfileAnswer(status="failed", reason=f"the control command ended with {result.get('rc')}: {more}")
