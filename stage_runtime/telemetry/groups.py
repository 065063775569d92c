"""Where this process's control groups lie (v1 and v2), and how their files are read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath


@dataclass(frozen=True, kw_only=True)
class Roots:
    """Where the kernel shows itself; tests describe a machine in folders of their own."""

    proc: Path = Path("/proc")
    sys: Path = Path("/sys")


def own_groups(proc: Path) -> Iterator[tuple[Path, Path]]:
    """Yield the folders of this process's control groups, each with all its ancestors: (folder, mount point)."""
    mounts = list(_cgroup_mounts(proc))
    for line in read_lines(proc / "self" / "cgroup"):
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        names = set(controllers.split(",")) if controllers else None
        for root, mount, mounted in mounts:
            # version 2 has no controllers on either side
            if (names is None) != (mounted is None) or not (names or {""}) & (mounted or {""}):
                continue
            try:
                relative = PurePosixPath(path).relative_to(root)
            except ValueError:
                relative = PurePosixPath()
            folder = mount / relative
            yield folder, mount
            yield from ((parent, mount) for parent in folder.parents if parent.is_relative_to(mount))


def _cgroup_mounts(proc: Path) -> Iterator[tuple[str, Path, set[str] | None]]:
    """Yield (root, mount point, controllers) of each hierarchy; controllers is None for version 2."""
    for line in read_lines(proc / "self" / "mountinfo"):
        left, _, right = line.partition(" - ")
        fields, kind = left.split(), right.split()
        if len(fields) < 5 or len(kind) < 3:  # noqa: PLR2004  (the columns of mountinfo, see proc(5))
            continue
        if kind[0] == "cgroup2":
            yield fields[3], Path(fields[4]), None
        elif kind[0] == "cgroup":
            yield fields[3], Path(fields[4]), set(kind[2].split(","))


def quota(folder: Path) -> float | None:
    """Give how many processors a group may use; None where it sets no limit."""
    both = read_line(folder / "cpu.max").split()
    if len(both) == 2 and both[0] != "max":  # noqa: PLR2004  (quota and period)
        return int(both[0]) / int(both[1])
    share = read_line(folder / "cpu.cfs_quota_us")
    period = read_line(folder / "cpu.cfs_period_us")
    if share and period and int(share) > 0:
        return int(share) / int(period)
    return None


def quota_period_s(folder: Path) -> float | None:
    """Give the seconds after which a group's quota begins anew; None where it sets no limit."""
    if quota(folder) is None:
        return None
    both = read_line(folder / "cpu.max").split()
    return int(both[1] if both else read_line(folder / "cpu.cfs_period_us")) / 1e6


def read_lines(path: Path) -> list[str]:
    """Read a file's lines; none where it cannot be read."""
    try:
        return path.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return []


def read_line(path: Path) -> str:
    """Read a file's first line; empty where it cannot be read."""
    lines = read_lines(path)
    return lines[0].strip() if lines else ""


def read_number(path: Path) -> int | None:
    """Read a file that holds one decimal number; None where it does not."""
    text = read_line(path)
    return int(text) if text.removeprefix("-").isdecimal() else None
