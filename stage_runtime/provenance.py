"""Say what a device is: hardware, system, versions, governor, throttling. One JSON line.

``python -I -S provenance.py DEVICE_HOME`` runs in milliseconds and imports nothing but the
standard library, since it is asked once per network condition.
"""

import contextlib
import glob
import json
import os
import platform
import subprocess
import sys

_PACKAGES = ("torch", "torchvision", "msgspec", "safetensors", "psutil", "numpy")


def _read(path: str) -> str | None:
    with contextlib.suppress(OSError), open(path, errors="replace") as file:  # noqa: PTH123 - pathlib doubles the start-up time
        return file.read().strip("\0\n ")
    return None


def _model() -> str | None:
    """Name the board (a Pi's device tree) or the processor."""
    board = _read("/proc/device-tree/model")
    if board:
        return board
    for line in (_read("/proc/cpuinfo") or "").splitlines():
        if line.startswith(("model name", "Model")):
            return line.partition(":")[2].strip()
    return None


def _memory_mb() -> float | None:
    for line in (_read("/proc/meminfo") or "").splitlines():
        if line.startswith("MemTotal:"):
            return round(int(line.split()[1]) / 1024, 1)
    return None


def _governors() -> list[str]:
    paths = glob.glob("/sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_governor")  # noqa: PTH207 - as above
    return sorted({governor for path in paths if (governor := _read(path))})


def _tcp() -> dict[str, str]:
    """Say what the kernel's TCP does here that moves figures; sizes are least, first and most, in bytes."""
    names = ("congestion_control", "slow_start_after_idle", "rmem", "wmem")
    found = {name: _read(f"/proc/sys/net/ipv4/tcp_{name}") for name in names}
    return {name: " ".join(value.split()) for name, value in found.items() if value}


def _command(*argv: str) -> str | None:
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None


def _versions() -> dict[str, str]:
    """Read package versions off their folders' names; importing the packages would take seconds."""
    versions: dict[str, str] = {}
    prefix = os.path.dirname(os.path.dirname(sys.executable))  # noqa: PTH120 - as above; without site, sys.prefix is not the venv's
    patterns = [f"{prefix}/lib/python*/site-packages"]
    for extra in glob.glob(f"{prefix}/lib/python*/site-packages/*.pth"):  # noqa: PTH207 - as above
        patterns += [line for line in (_read(extra) or "").splitlines() if line.startswith("/")]
    for pattern in patterns:
        for path in glob.glob(f"{pattern}/*.dist-info"):  # noqa: PTH207 - as above
            name, _, rest = path.rpartition("/")[2].partition("-")
            if name.lower() in _PACKAGES:
                versions.setdefault(name.lower(), rest.removesuffix(".dist-info"))
    return versions


def describe(home: str) -> dict[str, object]:
    """Describe this device; `home` is where its runtime, shards and environment lie.

    Its host name is left out: a campaign knows it by its inventory name, and may be published.
    """
    disk = os.statvfs(home)
    return {
        "machine": platform.machine(),
        "model": _model(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "packages": _versions(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_mb": _memory_mb(),
        "disk_free_mb": round(disk.f_bavail * disk.f_frsize / 2**20, 1),
        "load_1min": os.getloadavg()[0],
        "governors": _governors(),
        "tcp": _tcp(),
        "throttled": _command("vcgencmd", "get_throttled"),
        "gpu": _command("nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"),
    }


if __name__ == "__main__":
    print(json.dumps(describe(sys.argv[1])))  # noqa: T201 - the command's own output
