"""Which photographs are asked for, and which prepared file answered the same request before.

Needs neither torch nor an image library.
"""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path

import msgspec

from stage_runtime.errors import InputError
from stage_runtime.files import write_bytes

DEFAULT_SOURCE = "default"
SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp")
# Raised when what is computed from the same photographs changes.
_PREPARATION = 1


class InputsRequest(msgspec.Struct, frozen=True, kw_only=True):
    """``count`` square images with an edge of ``size`` pixels from these photographs, in order."""

    photographs: tuple[Path, ...]
    size: int
    count: int


def find_photographs(source: str) -> tuple[Path, ...]:
    """List the photographs of a folder by name, or the two that scikit-learn ships for ``default``.

    Raises InputError when there are none.
    """
    folder = _shipped_photographs() if source == DEFAULT_SOURCE else Path(source).expanduser()
    if not folder.is_dir():
        raise InputError(f"no folder of photographs at {folder}; name one, or {DEFAULT_SOURCE}")
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and path.is_file())
    if not found:
        raise InputError(f"no photographs in {folder}; put files there that end with {', '.join(SUFFIXES)}")
    return tuple(found)


def remembered(request: InputsRequest, folder: Path) -> str | None:
    """Give the inputs id that answered this request before, if its file is still there."""
    note = _note(request, folder)
    if not note.exists():
        return None
    inputs_id = note.read_text(encoding="ascii").strip()
    return inputs_id if inputs_path(folder, inputs_id).exists() else None


def remember(request: InputsRequest, folder: Path, inputs_id: str) -> None:
    """Note which prepared file answers this request."""
    write_bytes(_note(request, folder), inputs_id.encode())


def inputs_path(folder: Path, inputs_id: str) -> Path:
    """Give where prepared inputs lie."""
    return folder / f"{inputs_id}.safetensors"


def _shipped_photographs() -> Path:
    package = importlib.util.find_spec("sklearn")  # not imported: that would take a second
    if package is None or package.origin is None:
        raise InputError(
            "the default photographs come with scikit-learn, which is not installed here; "
            "install it or name a folder of photographs"
        )
    return Path(package.origin).parent / "datasets" / "images"


def _note(request: InputsRequest, folder: Path) -> Path:
    parts: list[object] = [_PREPARATION, request.size, request.count]
    for path in request.photographs:
        status = path.stat()
        parts.append([str(path.resolve()), status.st_size, status.st_mtime_ns])
    key = hashlib.sha256(msgspec.json.encode(parts)).hexdigest()[:16]
    return folder / "requests" / key
