"""The steps that change this machine, and the one place that takes them."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .spec import VirtualDeviceError

# Tells its pid, and lets go of the pipe it told it through.
DETACH = 'echo $$; log=$1; cd "$2" || exit 1; shift 2; exec "$@" < /dev/null >> "$log" 2>&1'


@dataclass(frozen=True, kw_only=True)
class Run:
    """Run a command to its end; any output on its error stream with a failure is the reason."""

    what: str
    argv: tuple[str, ...]
    stdin: str = ""


@dataclass(frozen=True, kw_only=True)
class Write:
    """Write a file; ``mode`` None is a kernel file, which exists and is written in place.

    An ``optional`` kernel file is passed over where the kernel has none.  ``owner_like`` names an
    existing folder whose user the file is to belong to.
    """

    what: str
    path: Path
    text: str
    mode: int | None = 0o644
    owner_like: Path | None = None
    optional: bool = False


@dataclass(frozen=True, kw_only=True)
class MakeFolder:
    """Make a folder and its missing parents."""

    what: str
    path: Path
    mode: int = 0o755
    owner_like: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Launch:
    """Start a process that outlives this one, in a session of its own, and record its pid."""

    what: str
    argv: tuple[str, ...]
    log: Path
    record: Path | None = None
    folder: Path = Path("/")


@dataclass(frozen=True, kw_only=True)
class Ask:
    """Send one JSON line to a control socket and demand an answer that is ok."""

    what: str
    socket: Path
    request: dict[str, Any]


Step = Run | Write | MakeFolder | Launch | Ask


def take(step: Step) -> None:
    """Take one step; raise VirtualDeviceError naming it where it fails."""
    try:
        match step:
            case Run():
                command(step.argv, stdin=step.stdin)
            case Write():
                _write(step)
            case MakeFolder():
                _make_folder(step)
            case Launch():
                _launch(step)
            case Ask():
                ask(step.socket, step.request)
    except (OSError, VirtualDeviceError) as exc:
        message = f"could not {step.what}: {exc}"
        raise VirtualDeviceError(message) from exc


def command(argv: Sequence[str], *, stdin: str = "") -> str:
    """Run a command and give its output; raise with its error output where it fails."""
    try:
        done = subprocess.run(argv, input=stdin, capture_output=True, text=True, check=False, timeout=60)
    except FileNotFoundError as exc:
        message = f"the program {argv[0]} is not installed"
        raise VirtualDeviceError(message) from exc
    except subprocess.TimeoutExpired as exc:
        message = f"`{' '.join(argv)}` did not end within 60 s"
        raise VirtualDeviceError(message) from exc
    if done.returncode:
        reason = done.stderr.strip() or done.stdout.strip() or f"exit status {done.returncode}"
        message = f"`{' '.join(argv)}` said: {reason}"
        raise VirtualDeviceError(message)
    return done.stdout


def ask(path: Path, request: dict[str, Any]) -> dict[str, Any]:
    """Send one JSON line to a control socket and give the answer.

    Raises VirtualDeviceError where the answer has ``error`` or is not ``ok``, OSError where
    nobody listens.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
        link.settimeout(10)
        link.connect(str(path))
        link.sendall(json.dumps(request).encode() + b"\n")
        with link.makefile("rb") as answers:
            line = answers.readline()
    if not line:
        message = f"{path} closed the connection without an answer"
        raise VirtualDeviceError(message)
    answer: dict[str, Any] = json.loads(line)
    if not answer.get("ok", False):
        message = f"{path} answered: {answer.get('error', answer)}"
        raise VirtualDeviceError(message)
    return answer


def read(path: Path) -> str | None:
    """Give a file's text without its last newline, or None where there is none."""
    try:
        return path.read_text().rstrip("\n")
    except (FileNotFoundError, NotADirectoryError, ProcessLookupError):
        return None


def read_json(path: Path) -> dict[str, Any]:
    """Give a JSON file's object; a missing or torn file gives an empty one."""
    try:
        value = json.loads(read(path) or "{}")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def boot_id() -> str:
    """Name this boot of the machine; a pid kept from another one means nothing."""
    return read(Path("/proc/sys/kernel/random/boot_id")) or ""


def start_time(pid: int) -> str | None:
    """Give the clock tick at which a living process started, or None for a dead one."""
    stat = read(Path(f"/proc/{pid}/stat"))
    if stat is None:
        return None
    # The command name stands in parentheses and may hold any character, so count from its end.
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else fields[19]


def process_record(pid: int) -> dict[str, Any]:
    """Describe a process so that it can be told from a later one with the same pid."""
    return {"pid": pid, "start": start_time(pid), "boot": boot_id()}


def is_alive(record: dict[str, Any]) -> bool:
    """Tell whether the process of a record still lives."""
    if "pid" not in record or record.get("boot") != boot_id():
        return False
    return start_time(int(record["pid"])) == record.get("start") is not None


def write_atomically(path: Path, text: str, mode: int) -> None:
    """Replace a file in one go, so that a crash leaves the old or the new one."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "w") as stream:
        os.fchmod(stream.fileno(), mode)
        stream.write(text)
    temporary.replace(path)


def _write(step: Write) -> None:
    if step.mode is None:
        if step.path.exists() or not step.optional:
            step.path.write_text(step.text)
        return
    write_atomically(step.path, step.text, step.mode)
    _give_away([step.path], step.owner_like)


def _make_folder(step: MakeFolder) -> None:
    missing = [folder for folder in (step.path, *step.path.parents) if not folder.exists()]
    for folder in reversed(missing):
        folder.mkdir(exist_ok=True)
    step.path.chmod(step.mode)
    _give_away(missing, step.owner_like)


def _give_away(paths: Iterable[Path], owner_like: Path | None) -> None:
    """Give files that root made to the user whose folder they lie in."""
    if owner_like is None:
        return
    owner = owner_like.stat()
    for path in paths:
        os.chown(path, owner.st_uid, owner.st_gid)


def _launch(step: Launch) -> None:
    """Start the process as nobody's child, so that its end is noticed whoever started it."""
    if shutil.which(step.argv[0]) is None:
        message = f"the program {step.argv[0]} is not installed"
        raise VirtualDeviceError(message)
    argv = ("setsid", "--fork", "sh", "-c", DETACH, "sh", str(step.log), str(step.folder), *step.argv)
    pid = int(command(argv))
    if step.record is not None:
        write_atomically(step.record, json.dumps(process_record(pid)) + "\n", 0o644)
