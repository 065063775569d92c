"""How one gets into a device: its sshd, its host key, the one key that may log in, known_hosts."""

from __future__ import annotations

import json
import os
import shutil
import socket
import time
from pathlib import Path
from typing import Any

from .cgroups import Hierarchy
from .machine import Launch, MakeFolder, Run, Step, Write, is_alive, read, read_json
from .network import NETNS_FOLDER
from .spec import MARKER, Device, Testbed, VirtualDeviceError

SSH_PORT = 22
# a device with little CPU on a busy machine takes its time
BANNER_TIMEOUT_S = 30.0
# sshd refuses to start without this folder; a package's start script makes it where one runs.
PRIVILEGE_SEPARATION = Path("/run/sshd")
# Joins the groups named up to `--`, then becomes the command: every process of the device
# inherits the groups, and none exists a moment outside them.
JOIN = 'while [ "$1" != -- ]; do echo $$ > "$1" || exit 1; shift; done; shift; exec "$@"'
# Keeps the device's control groups in sight: `ip netns exec` lays a new /sys over them, and without them
# the device would take the machine's memory and processors for its own.  In its own mount namespace.
KEEP = """
here=$1; shift
while [ "$1" != -- ]; do mkdir -p "$here/cgroup/$1" && mount --bind "$2" "$here/cgroup/$1" || exit 1; shift 2; done
shift; exec "$@"
"""
# What a device has of its own from the start: its name; a shadow file in which root is not locked, as it
# is on many machines (sshd refuses a locked account even with the right key); a passwd file in which
# root's home is the device's working directory (otherwise each login would run the start-up files of
# this machine's root, which took 0.2 s of a half-core device where they set up a version manager); and
# its control groups where programs look for them.
BECOME = """
hostname "$1" && mount --bind "$2/shadow" /etc/shadow && mount --bind "$2/passwd" /etc/passwd || exit 1
mount -t tmpfs -o mode=755 cgroup /sys/fs/cgroup || exit 1
for group in "$2"/cgroup/*; do
  mkdir "/sys/fs/cgroup/${group##*/}" && mount --move "$group" "/sys/fs/cgroup/${group##*/}" || exit 1
done
shift 2; exec "$@"
"""
SHADOW = "root:*:20000:0:99999:7:::"
OWN_FILES = ("sshd_config", "shadow", "passwd")


def folder(device: Device, testbed: Testbed) -> Path:
    """Name the folder of what lives as long as the device is up."""
    return testbed.run_dir / device.name


def work_folder(device: Device, testbed: Testbed) -> Path:
    """Name the device's own working directory."""
    return testbed.root / device.name


def client_key(testbed: Testbed) -> Path:
    """Name the private key that logs in to every device of this checkout."""
    return testbed.ssh_dir / "id_ed25519"


def known_hosts(device: Device, testbed: Testbed) -> Path:
    """Name the file with this device's host key; one each, so that no two writers meet."""
    return testbed.ssh_dir / "known_hosts" / device.netns


def passwd(work: Path) -> str:
    """Write the machine's passwd file with root's home in `work`; a malformed line stays as it is."""
    lines = (read(Path("/etc/passwd")) or "root:x:0:0:root:/root:/bin/sh").splitlines()
    entries = [line.split(":") for line in lines]
    moved = [[*entry[:5], str(work), *entry[6:]] if entry[0] == "root" else entry for entry in entries]
    return "\n".join(":".join(entry) for entry in moved)


def sshd_config(device: Device, here: Path) -> str:
    """Write the sshd configuration of one device: a key, no password, no host's settings."""
    lines = (
        f"ListenAddress {device.management_address}:{SSH_PORT}",
        f"HostKey {here / 'host_key'}",
        f"AuthorizedKeysFile {here / 'authorized_keys'}",
        f"PidFile {here / 'sshd.pid'}",
        "PermitRootLogin prohibit-password",
        "AuthenticationMethods publickey",
        "PasswordAuthentication no",
        "KbdInteractiveAuthentication no",
        "UsePAM no",
        "UseDNS no",
        "X11Forwarding no",
        "PrintMotd no",
        "MaxStartups 100",
        "MaxSessions 100",
        "Subsystem sftp internal-sftp",
    )
    return "\n".join(lines)


def plan_client_key(testbed: Testbed) -> list[Step]:
    """Plan the key pair of this checkout, which is made once and kept."""
    owner = Path(testbed.owner)
    steps: list[Step] = [
        MakeFolder(what=f"make {place}", path=place, mode=0o700, owner_like=owner)
        for place in (testbed.ssh_dir, testbed.ssh_dir / "known_hosts")
        if not place.is_dir()
    ]
    key = client_key(testbed)
    if not key.is_file() or not key.with_suffix(".pub").is_file():
        steps.append(_keygen("make the key that logs in to the devices", key, "splitbed"))
        user = owner.stat() if owner.exists() else None
        if user is not None and user.st_uid != os.geteuid():
            argv = ("chown", f"{user.st_uid}:{user.st_gid}", str(key), f"{key}.pub")
            steps.append(Run(what="give the key to the checkout's user", argv=argv))
    return steps


def plan_host_key(device: Device, testbed: Testbed) -> list[Step]:
    """Plan the device's folders and its own host key."""
    here, work = folder(device, testbed), work_folder(device, testbed)
    steps: list[Step] = [
        MakeFolder(what=f"make {place}", path=place)
        for place in (here, work, PRIVILEGE_SEPARATION)
        if not place.is_dir()
    ]
    marker = json.dumps({"prefix": testbed.prefix, "owner": testbed.owner})
    steps += _plan_file(work / MARKER, marker, f"mark the working directory of {device.name}")
    if not (here / "host_key").is_file() or not (here / "host_key.pub").is_file():
        steps.append(_keygen(f"make the host key of {device.name}", here / "host_key", device.netns))
    return steps


def plan_files(device: Device, testbed: Testbed) -> list[Step]:
    """Plan the configuration of sshd and what either side knows of the other; needs the keys."""
    here = folder(device, testbed)
    public = read(client_key(testbed).with_suffix(".pub")) or ""
    host = " ".join((read(here / "host_key.pub") or "").split()[:2])
    known = f"{device.management_address} {host}"
    return [
        *_plan_file(here / "authorized_keys", public, f"let the checkout's key into {device.name}"),
        *_plan_file(here / "shadow", SHADOW, f"unlock root inside {device.name}", mode=0o600),
        *_plan_file(here / "passwd", passwd(work_folder(device, testbed)), f"give root of {device.name} a home"),
        *_plan_file(here / "sshd_config", sshd_config(device, here), f"configure sshd of {device.name}"),
        *_plan_file(known_hosts(device, testbed), known, f"make {device.name} known", owner_like=testbed.ssh_dir),
    ]


def plan_process(device: Device, testbed: Testbed, hierarchies: tuple[Hierarchy, ...]) -> list[Step]:
    """Plan the device's first process: sshd in namespaces and groups of its own.

    The PID namespace is what makes one kill end everything in the device.
    """
    here = folder(device, testbed)
    if is_running(device, testbed, hierarchies):
        return []
    # sshd starts itself anew for each connection, so it insists on its full path.
    sshd = shutil.which("sshd") or "sshd"
    groups = {hierarchy.controller: hierarchy.group(testbed, device.name) for hierarchy in hierarchies}
    kept = [word for controller, group in groups.items() for word in (controller, str(group))]
    argv = (
        *("sh", "-c", JOIN, "sh", *dict.fromkeys(str(group / "cgroup.procs") for group in groups.values()), "--"),
        *("unshare", "--mount", "sh", "-c", KEEP, "sh", str(here), *kept, "--"),
        *("ip", "netns", "exec", device.netns),
        *("unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "--uts"),
        *("sh", "-c", BECOME, "sh", device.name, str(here)),
        *(sshd, "-D", "-e", "-f", str(here / "sshd_config")),
    )
    return [Launch(what=f"start {device.name}", argv=argv, log=here / "sshd.log", record=here / "process.json")]


def is_running(device: Device, testbed: Testbed, hierarchies: tuple[Hierarchy, ...]) -> bool:
    """Tell whether the device's process lives, in its namespace and in all of its groups.

    A process that was started with other files than the present ones does not count.
    """
    here = folder(device, testbed)
    record = read_json(here / "process.json")
    if not is_alive(record):
        return False
    pid = int(record["pid"])
    try:
        own, named = Path(f"/proc/{pid}/ns/net").stat(), (NETNS_FOLDER / device.netns).stat()
        started = (here / "process.json").stat().st_mtime
        configured = all((here / file).stat().st_mtime <= started for file in OWN_FILES)
    except FileNotFoundError:
        return False
    groups = {hierarchy.group(testbed, device.name) / "cgroup.procs" for hierarchy in hierarchies}
    joined = all(str(pid) in (read(group) or "").split() for group in groups)
    return (own.st_dev, own.st_ino) == (named.st_dev, named.st_ino) and configured and joined


def answers(device: Device, timeout_s: float) -> bool:
    """Ask the device's sshd for its greeting."""
    try:
        with socket.create_connection((str(device.management_address), SSH_PORT), timeout_s) as link:
            link.settimeout(timeout_s)
            return link.recv(4) == b"SSH-"
    except OSError:
        return False


def wait_for_greeting(device: Device, testbed: Testbed) -> None:
    """Wait until sshd greets; raise with the end of its log where it does not."""
    deadline = time.monotonic() + BANNER_TIMEOUT_S
    record: dict[str, Any] = read_json(folder(device, testbed) / "process.json")
    # Each connection costs the device a new sshd process, so none is given up soon.
    while not answers(device, BANNER_TIMEOUT_S):
        if time.monotonic() > deadline or not is_alive(record):
            log = (read(folder(device, testbed) / "sshd.log") or "nothing").splitlines()[-3:]
            message = (
                f"{device.name}: no sshd answers at {device.management_address}:{SSH_PORT}; "
                f"its log ends with: {' / '.join(log)}"
            )
            raise VirtualDeviceError(message)
        time.sleep(0.02)


def _plan_file(path: Path, text: str, what: str, owner_like: Path | None = None, mode: int = 0o644) -> list[Step]:
    if read(path) == text:
        return []
    return [Write(what=what, path=path, text=text + "\n", owner_like=owner_like, mode=mode)]


def _keygen(what: str, key: Path, comment: str) -> Run:
    # A half-made pair makes ssh-keygen ask whether to overwrite; a closed input says no.
    script = 'rm -f "$1" "$1.pub" && exec ssh-keygen -q -t ed25519 -N "" -C "$2" -f "$1"'
    return Run(what=what, argv=("sh", "-c", script, "sh", str(key), comment))
