"""Virtual devices on this machine: what they keep to, how they are repaired, what they leave."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from roles.virtual_device.module_utils.splitbed_virtual import data_link, login, machine, processes, up
from roles.virtual_device.module_utils.splitbed_virtual.cgroups import hierarchies_here
from roles.virtual_device.module_utils.splitbed_virtual.down import take_down
from roles.virtual_device.module_utils.splitbed_virtual.spec import (
    Device,
    VirtualDeviceError,
    parse_device,
    parse_testbed,
)
from roles.virtual_device.module_utils.splitbed_virtual.spec import Testbed as Bed  # pytest collects Test…
from tests.virtual_devices import PROJECT, VirtualTestbed, virtual_testbed

pytestmark = pytest.mark.integration

PREFIX = "sbBcrash"


def run(*words: str) -> str:
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


def traces(prefix: str) -> set[str]:
    """Collect everything on this machine that bears the prefix."""
    found = {f"netns {path.name}" for path in Path("/run/netns").glob("*")}
    found |= {f"link {line.split()[0]}" for line in run("ip", "-br", "link").splitlines()}
    found |= {f"group {path}" for path in Path("/sys/fs/cgroup").glob("*/*")}
    found |= {f"run {path}" for path in Path("/run").iterdir()}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            words = (machine.read(entry / "cmdline") or "").replace("\0", " ")
            found.add(f"process {entry.name} {words}")
    own = f"process {os.getpid()} "
    return {trace for trace in found if re.search(rf"\b{prefix}", trace) and not trace.startswith(own)}


# Over Ansible, as a user does it.


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VirtualTestbed]:
    folder = tmp_path_factory.mktemp("bed")
    devices = {"a": {}, "b": {"virtual_cpus": 0.25}}
    with virtual_testbed(folder, prefix="sbB", networks="10.215", devices=devices) as made:
        yield made
    assert traces("sbB") == set()
    assert not (folder / "virtual").exists()


def test_device_is_a_host_of_its_own(bed: VirtualTestbed) -> None:
    said = bed.ansible("b", "ansible.builtin.shell", "hostname; cat /proc/1/comm; nproc; ps -A -o args=").stdout
    assert said.partition(">>")[2].split()[:3] == ["b", "sshd", "1"]
    assert "links.emulator" not in said, "a process of the machine is seen from inside"


def test_root_can_log_in_where_the_machine_locks_it(bed: VirtualTestbed) -> None:
    before = Path("/etc/shadow").read_text()
    said = bed.ansible("a", "ansible.builtin.command", "cat /etc/shadow").stdout
    assert said.partition(">>")[2].strip() == login.SHADOW
    assert Path("/etc/shadow").read_text() == before != login.SHADOW + "\n"


def test_root_is_at_home_in_the_devices_own_folder(bed: VirtualTestbed) -> None:
    before = Path("/etc/passwd").read_text()
    said = bed.ansible("a", "ansible.builtin.shell", "cd && pwd && id -un sshd").stdout
    assert said.partition(">>")[2].split() == [str(bed.root / "a"), "sshd"]
    assert Path("/etc/passwd").read_text() == before


def test_a_device_sees_its_own_limits(bed: VirtualTestbed) -> None:
    ask = (
        f"cd {PROJECT} && {sys.executable} -c 'from stage_runtime.telemetry.limits import read_limits as r; print(r())'"
    )
    said = bed.ansible("a", "ansible.builtin.shell", ask).stdout
    assert "processors=0.5" in said
    assert f"memory_bytes={512 * 2**20}" in said


def test_a_device_keeps_its_tcp_windows_over_idle_times(bed: VirtualTestbed) -> None:
    setting = "/proc/sys/net/ipv4/tcp_slow_start_after_idle"
    before = Path(setting).read_text()
    assert bed.ansible("a", "ansible.builtin.command", f"cat {setting}").stdout.partition(">>")[2].strip() == "0"
    assert Path(setting).read_text() == before, "this machine's own setting is left alone"


def test_second_up_and_check_mode_change_nothing(bed: VirtualTestbed) -> None:
    for arguments in ((), ("--check",)):
        recap = bed.play("playbooks/virtual_up.yml", *arguments).stdout
        assert re.findall(r"changed=(\d+)", recap) == ["0", "0"]
    assert bed.play("playbooks/virtual_down.yml", "--check").stdout.count("changed=1") == 1
    bed.ansible("all", "ansible.builtin.ping")


def test_quota_holds(bed: VirtualTestbed) -> None:
    spin = "import time as t\ne=t.time()+1\nwhile t.time()<e: pass\nprint('used', t.process_time())"
    said = bed.ansible("b", "ansible.builtin.command", f'/usr/bin/python3 -c "{spin}"').stdout
    assert float(said.rpartition("used")[2]) < 0.25 * 1.25


def test_memory_limit_holds(bed: VirtualTestbed) -> None:
    def fill(megabytes: int) -> int:
        command = f"/usr/bin/python3 -c 'bytearray({megabytes} * 2**20)'"
        return bed.ansible("a", "ansible.builtin.command", command, check=False).returncode

    assert fill(200) == 0
    assert fill(700) != 0
    bed.ansible("a", "ansible.builtin.ping")


def test_data_interface_reaches_the_other_device(bed: VirtualTestbed) -> None:
    bed.ansible("a", "ansible.builtin.command", "ping -c 1 -W 2 -I data0 10.215.1.12")


def test_host_key_is_checked_and_only_our_key_gets_in(bed: VirtualTestbed, tmp_path: Path) -> None:
    known = bed.folder / ".splitbed" / "ssh" / "known_hosts" / "sbB-a"
    kept = known.read_text()
    other = kept.split()[0] + " " + (known.parent / "sbB-b").read_text().split(" ", 1)[1]
    fresh = ("-o", "ControlPath=none", "-o", "BatchMode=yes", "-o", f"UserKnownHostsFile={known}")
    key = ("-o", "IdentitiesOnly=yes", "-o", f"IdentityFile={bed.folder / '.splitbed' / 'ssh' / 'id_ed25519'}")

    def attempt(*options: str) -> subprocess.CompletedProcess[str]:
        words = ["ssh", "-F", "none", *fresh, *options, "root@10.215.0.11", "true"]
        return subprocess.run(words, capture_output=True, text=True, check=False)

    assert attempt(*key).returncode == 0
    known.write_text(other)
    try:
        assert "HOST IDENTIFICATION HAS CHANGED" in attempt(*key).stderr
    finally:
        known.write_text(kept)
    stranger = tmp_path / "key"
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(stranger))
    refused = attempt("-o", "IdentitiesOnly=yes", "-o", f"IdentityFile={stranger}")
    assert "Permission denied (publickey)" in refused.stderr


def test_one_error_names_what_the_inventory_gets_wrong(bed: VirtualTestbed) -> None:
    said = bed.play("playbooks/virtual_up.yml", "--limit", "a", check=False, virtual_cores="0,77").stdout
    assert "a: virtual_cores 0,77 names 77, but this machine has the cores" in said
    said = bed.play("playbooks/virtual_up.yml", "--limit", "a", check=False, virtual_device_link_backend="tc").stdout
    assert "are up with the link backend user, not tc" in said


def test_devices_of_another_inventory_are_left_alone(bed: VirtualTestbed, tmp_path: Path) -> None:
    for playbook in ("playbooks/virtual_up.yml", "playbooks/virtual_down.yml"):
        done = bed.play(playbook, check=False, virtual_device_owner=str(tmp_path))
        assert done.returncode != 0
        assert f"the virtual devices sbB belong to {bed.folder}, not to {tmp_path}" in done.stdout
    bed.ansible("all", "ansible.builtin.ping")


# Through the module's own functions, which is quick enough to try every crash.


@pytest.fixture
def wanted(tmp_path: Path) -> Iterator[tuple[Device, Bed]]:
    testbed = parse_testbed(
        {
            "prefix": PREFIX,
            "management_network": "10.215.2.0/24",
            "data_network": "10.215.3.0/24",
            "root": tmp_path / "root" / "virtual",
            "ssh_dir": tmp_path / "ssh",
            "owner": tmp_path,
            "project": PROJECT,
            "python": sys.executable,
            "link_backend": "auto",
            "cfs_period_us": 10000,
        }
    )
    values = {"name": "c", "management_address": "10.215.2.11", "data_address": "10.215.3.11"}
    device = parse_device({**values, "cpus": 0.5, "cores": "0", "memory_mb": 256}, testbed)
    try:
        yield device, testbed
    finally:
        take_down(testbed, [], check=False, take_over=True)


def bring_up(device: Device, testbed: Bed) -> list[str]:
    return up.bring_up(device, testbed, check=False, take_over=False).done


Wanted = tuple[Device, Bed]


def end_process(device: Device, testbed: Bed) -> None:
    found = hierarchies_here()
    assert processes.end("c", lambda: processes.of_device(device.name, testbed, found))


def end_emulator(_: Device, testbed: Bed) -> None:
    assert processes.end("emulator", lambda: processes.of_emulator(testbed))


def loosen_quota(device: Device, testbed: Bed) -> None:
    hierarchy = hierarchies_here()[0]
    file = {1: "cpu.cfs_quota_us", 2: "cpu.max"}[hierarchy.version]
    (hierarchy.group(testbed, device.name) / file).write_text("20000")


DAMAGE: dict[str, Callable[[Device, Bed], object]] = {
    "process": end_process,
    "emulator": end_emulator,
    "quota": loosen_quota,
    "management": lambda device, _: run("ip", "link", "delete", device.host_interface("m")),
    "bridge": lambda _, testbed: run("ip", "link", "delete", testbed.bridge),
    "data": lambda device, _: run("ip", "-n", device.netns, "link", "delete", "data0"),
    "namespace": lambda device, _: run("ip", "netns", "delete", device.netns),
    "known_hosts": lambda _, testbed: shutil.rmtree(testbed.ssh_dir / "known_hosts"),
    "folder": lambda device, testbed: shutil.rmtree(testbed.run_dir / device.name),
}


def test_every_damage_is_repaired(wanted: Wanted) -> None:
    device, testbed = wanted
    bring_up(device, testbed)
    for name, damage in DAMAGE.items():
        damage(device, testbed)
        assert bring_up(device, testbed), f"the damage to {name} was not noticed"
        assert bring_up(device, testbed) == [], f"the repair of {name} did not last"


def test_changed_limits_take_hold_without_a_restart(wanted: Wanted) -> None:
    device, testbed = wanted
    bring_up(device, testbed)
    values = {"name": "c", "management_address": "10.215.2.11", "data_address": "10.215.3.11"}
    larger = parse_device({**values, "cpus": 1, "cores": "0", "memory_mb": 300}, testbed)
    done = bring_up(larger, testbed)
    assert any("memory" in step for step in done)
    assert "start c" not in done


def crash_after(count: int, monkeypatch: pytest.MonkeyPatch, wanted: Wanted) -> list[str]:
    """Bring up until `count` steps were taken, and no further; give what they were."""
    taken: list[str] = []

    def take(step: machine.Step) -> None:
        if len(taken) == count:
            raise KeyboardInterrupt
        taken.append(step.what)
        machine.take(step)

    with monkeypatch.context() as patch, suppress(KeyboardInterrupt):
        patch.setattr(up, "take", take)
        bring_up(*wanted)
    return taken


def test_crash_after_any_step_leaves_nothing_behind_and_blocks_nothing(
    wanted: Wanted, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, testbed = wanted
    every = bring_up(*wanted)
    assert take_down(testbed, [], check=False, take_over=False)
    assert traces(PREFIX) == set()
    for count in range(1, len(every), 2):
        taken = crash_after(count, monkeypatch, wanted)
        if count % 4 == 1:
            bring_up(*wanted)
            assert bring_up(*wanted) == []
        take_down(testbed, [], check=False, take_over=False)
        assert traces(PREFIX) == set(), f"left after a crash behind {taken[-1]!r}"
        assert not testbed.root.exists()
    assert take_down(testbed, [], check=False, take_over=False) == []


def test_crash_between_start_and_record_leaves_no_process(wanted: Wanted) -> None:
    device, testbed = wanted
    bring_up(device, testbed)
    (testbed.run_dir / device.name / "process.json").unlink()
    (testbed.run_dir / "emulator.json").unlink(missing_ok=True)
    (testbed.run_dir / "emulator.pid").unlink(missing_ok=True)
    take_down(testbed, [], check=False, take_over=False)
    assert traces(PREFIX) == set()


def test_files_that_nobody_marked_survive_down(wanted: Wanted) -> None:
    device, testbed = wanted
    bring_up(device, testbed)
    stranger = testbed.root / "thesis" / "chapter.txt"
    stranger.parent.mkdir()
    stranger.write_text("years of work")
    take_down(testbed, [], check=False, take_over=False)
    assert [path.name for path in testbed.root.iterdir()] == ["thesis"]
    assert stranger.read_text() == "years of work"


def test_names_that_others_use_are_refused_and_left(wanted: Wanted) -> None:
    device, testbed = wanted
    run("ip", "netns", "add", f"{PREFIX}-other")
    try:
        with pytest.raises(VirtualDeviceError, match=f"taken on this machine .* {PREFIX}-other; choose another"):
            bring_up(device, testbed)
        assert take_down(testbed, [], check=False, take_over=False) == []
        assert f"netns {PREFIX}-other" in traces(PREFIX)
    finally:
        run("ip", "netns", "delete", f"{PREFIX}-other")
    assert traces(PREFIX) == set()


def test_one_device_goes_and_the_other_stays(wanted: Wanted) -> None:
    device, testbed = wanted
    values = {"name": "d", "management_address": "10.215.2.12", "data_address": "10.215.3.12"}
    other = parse_device({**values, "cpus": 0.5, "cores": "0", "memory_mb": 256}, testbed)
    bring_up(device, testbed)
    bring_up(other, testbed)
    clash = parse_device({**values, "name": "e", "cpus": 0.5, "cores": "0", "memory_mb": 256}, testbed)
    with pytest.raises(VirtualDeviceError, match=r"e: the address 10.215.[23].12 is that of d, which is up"):
        bring_up(clash, testbed)
    assert take_down(testbed, ["c"], check=False, take_over=False) == ["c"]
    assert set(data_link.attached(testbed) or {}) == {"d"}
    assert bring_up(other, testbed) == []
