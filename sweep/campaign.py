"""A campaign: one folder of results, found again by the next command like it.

The folder's name holds the models and a hash of the options that every cell of it shares
(granularity, weights, inputs, batches, seed, …).  Chains, networks, splits, windows, transports and how
often a cell is run are not in it: asking for more of them extends the campaign.
"""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from sweep.errors import CampaignError
from sweep.locks import HeldElsewhere, take_lock
from sweep.options import Options
from sweep.room import refuse_full_disk

JOURNAL = "journal.jsonl"
_SHARED_OPTIONS = (
    "model",
    "granularity",
    "batch",
    "batches",
    "cell_s",
    "warmup",
    "weights",
    "num_classes",
    "inputs",
    "seed",
)
_LONGEST_NAME = 60


def campaign_stem(options: Options) -> str:
    """Name the campaign that `options` belong to, without the number of its try."""
    shared = {name: getattr(options, name) for name in _SHARED_OPTIONS}
    if options.tls:  # campaigns of before this option keep their names
        shared["tls"] = True
    digest = hashlib.sha256(msgspec.json.encode(shared, order="deterministic")).hexdigest()[:8]
    models = "-".join(options.model)
    if len(models) > _LONGEST_NAME:
        models = f"{len(options.model)}-models"
    return re.sub(r"[^\w-]+", "_", models) + f"-{digest}"


def choose_folder(options: Options) -> Path:
    """Pick the folder: the newest try of this campaign, or a new one where ``fresh`` is asked for.

    Raises CampaignError where that one is packed.
    """
    root = Path(options.results).expanduser()
    stem = campaign_stem(options)
    tries = sorted(
        int(match[1] or 1)
        for path in (root.iterdir() if root.is_dir() else ())
        if (match := re.fullmatch(re.escape(stem) + r"(?:\.(\d+))?", path.name))
    )
    number = (tries[-1] if tries else 1) + (1 if options.fresh and tries else 0)
    folder = root / (stem if number == 1 else f"{stem}.{number}")
    packed = folder / f"{JOURNAL}.gz"
    if packed.exists():
        raise CampaignError(
            f"`{folder}` is packed for shipping and not gone on with; remedy: fresh=true begins another campaign, "
            f"`gunzip {packed}` opens this one again"
        )
    return folder


class Campaign:
    """A campaign's folder, held by this process alone while open.

    Raises CampaignError where another process holds it, it cannot be written, or its disk is full.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
            refuse_full_disk(folder)
            self._lock = take_lock(folder / ".lock", str(os.getpid()))
        except OSError as exc:
            raise CampaignError(f"results folder `{folder}`: {exc.strerror}; remedy: results=PATH") from exc
        except HeldElsewhere as exc:
            raise CampaignError(
                f"`{folder}` is being written by process {exc.holder}; remedy: wait for it, or stop it"
            ) from exc

    @property
    def name(self) -> str:
        """The campaign's name, which is that of its folder."""
        return self.folder.name

    @property
    def journal_path(self) -> Path:
        """Where the rows are."""
        return self.folder / JOURNAL

    def write_json(self, name: str, content: Any) -> Path:
        """Write `content` to `name` in the folder, whole or not at all.

        Raises CampaignError where the disk refuses.
        """
        path = self.folder / name
        text = msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n"
        temporary = path.with_name(path.name + ".part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(text)
            temporary.replace(path)
        except OSError as exc:
            raise CampaignError(f"{path}: cannot write ({exc}); free some space and run again") from exc
        return path

    def close(self) -> None:
        """Let go of the folder."""
        os.close(self._lock)

    def __enter__(self) -> Self:
        """Use the campaign in a ``with`` statement."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go of the folder."""
        self.close()
