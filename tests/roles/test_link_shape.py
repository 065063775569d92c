"""The link_shape role on virtual devices: what it promises, asked of the emulator afterwards."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import msgspec
import pytest

from links.emulator.client import ask
from roles.link_shape.filter_plugins.link_shape import (
    link_shape_answer,
    link_shape_directions,
    link_shape_problems,
)
from stage_runtime.formats.row import LinkDirection
from tests.virtual_devices import VirtualTestbed, virtual_testbed

PREFIX = "sbA"
SOCKET = Path("/run") / PREFIX / "emulator.sock"
NETWORKS = {
    "slow": {"rate_mbit": 20, "delay_ms": 10},
    "uneven": {"forward": {"rate_mbit": 30}, "backward": {"rate_mbit": 60, "delay_ms": 4}},
    "unlimited": {},
}


# The filters, without any device.


def test_answer_is_the_last_line_printed() -> None:
    assert link_shape_answer({"stdout": 'a banner\r\n{"changed": true}\r\n'}) == {"changed": True}


@pytest.mark.parametrize("stdout", ["", "Traceback", "[1]"])
def test_answer_without_an_object_is_an_error_that_quotes_it(stdout: str) -> None:
    error = link_shape_answer({"stdout": stdout, "stderr": "no such file", "rc": 127})["error"]
    assert "127" in error
    assert "no such file" in error


def test_skipped_task_has_no_problems() -> None:
    assert link_shape_problems({"skipped": True}) == []
    assert link_shape_problems({"stdout": '{"error": "no netem"}'}) == ["no netem"]


def test_directions_join_what_another_device_measured() -> None:
    link = {"source": "b", "target": "a", "backend": "user", "asked": {}, "in_force": {}}
    figures = {"source": "b", "target": "a", "rtt_ms": 1.0, "message_ms": 2.0, "bulk_mbit": 3.0, "method": "tcp"}
    shaped = {"stdout": json.dumps({"links": [link]})}
    probes: list[dict[str, Any]] = [{"stdout": json.dumps({"directions": [figures]})}, {"skipped": True}]
    assert link_shape_directions(shaped, probes) == [link | {"rtt_ms": 1.0, "message_ms": 2.0, "bulk_mbit": 3.0}]
    assert link_shape_directions(shaped, [])[0]["bulk_mbit"] is None


# The role, as a play runs it.


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VirtualTestbed]:
    folder = tmp_path_factory.mktemp("links")
    with virtual_testbed(folder, prefix=PREFIX, networks="10.214", devices={"a": {}, "b": {}}) as made:
        made.play("playbooks/provision.yml")
        for name, tasks_from in (("shape", "main"), ("clear", "clear")):
            include = {"ansible.builtin.include_role": {"name": "link_shape", "tasks_from": tasks_from}}
            keep = {"ansible.builtin.copy": {"dest": f"{folder}/{{{{ inventory_hostname }}}}.json", "mode": "0600"}}
            keep["ansible.builtin.copy"]["content"] = "{{ link_shape_result | default([]) | to_json }}"
            play = {"hosts": "all", "gather_facts": False, "tasks": [include, {**keep, "delegate_to": "localhost"}]}
            (folder / f"{name}.json").write_text(json.dumps([play]))
        yield made


@pytest.fixture(autouse=True)
def _unshaped(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "bed" in request.fixturenames:
        ask(SOCKET, "clear", owner=None, sources=None)


def shape(bed: VirtualTestbed, network: str, *arguments: str, **variables: Any) -> CompletedProcess[str]:
    given = {"link_shape_chain": ["a", "b"], "link_shape_owner": "campaign", "link_shape_networks": NETWORKS}
    play = str(bed.folder / "shape.json")
    return bed.play(play, *arguments, check=False, **{**given, "link_shape_network": network, **variables})


def in_force() -> dict[str, dict[str, Any]]:
    return {link["source"]: link for link in ask(SOCKET, "show")["links"]}


def result(bed: VirtualTestbed, name: str) -> list[LinkDirection]:
    text = (bed.folder / f"{name}.json").read_text()
    return msgspec.json.decode(text, type=list[LinkDirection])


def touch_leases(bed: VirtualTestbed, when: float) -> None:
    for name in bed.names:
        os.utime(bed.root / name / "splitbed" / "run" / "link.lease", (when, when))


def role_changed(done: CompletedProcess[str]) -> bool:
    part = done.stdout.split("[link_shape : Put the condition in force and read it back]")[1]
    return "changed:" in part.split("TASK [")[0]


@pytest.mark.integration
def test_shape_change_and_clear_a_link(bed: VirtualTestbed) -> None:
    first = shape(bed, "slow")
    assert first.returncode == 0, first.stdout
    assert role_changed(first)
    assert in_force()["10.214.1.11"]["spec"]["rate_mbit"] == 20
    assert not role_changed(shape(bed, "slow")), "a second run changes nothing"

    second = shape(bed, "uneven")
    assert second.returncode == 0, second.stdout
    assert role_changed(second)
    assert {source: link["spec"]["rate_mbit"] for source, link in in_force().items()} == {
        "10.214.1.11": 30,
        "10.214.1.12": 60,
    }
    (there,), (back,) = result(bed, "a"), result(bed, "b")
    assert (there.source, there.target, there.backend) == ("a", "b", "user")
    assert (back.source, back.target) == ("b", "a")
    assert there.bulk_mbit == pytest.approx(30, rel=0.1)
    assert back.bulk_mbit == pytest.approx(60, rel=0.1)
    assert back.in_force == back.asked

    bed.play(str(bed.folder / "clear.json"), link_shape_owner="campaign")
    assert in_force() == {}


@pytest.mark.integration
def test_check_mode_says_what_would_change_and_changes_nothing(bed: VirtualTestbed) -> None:
    done = shape(bed, "slow", "--check")
    assert done.returncode == 0, done.stdout
    assert role_changed(done)
    assert in_force() == {}


@pytest.mark.integration
def test_condition_without_limits_leaves_the_link_alone_and_measures_it(bed: VirtualTestbed) -> None:
    assert shape(bed, "slow").returncode == 0
    assert shape(bed, "unlimited").returncode == 0
    assert in_force() == {}
    (there,) = result(bed, "a")
    assert there.backend == "none"
    assert there.bulk_mbit is not None


@pytest.mark.integration
def test_other_owner_is_refused_by_name_until_the_lease_ends(bed: VirtualTestbed) -> None:
    assert shape(bed, "slow", link_shape_owner="first", link_shape_ttl_s=15, link_shape_verify=False).returncode == 0
    touch_leases(bed, time.time() + 3600)  # a stage that lives on
    refused = shape(bed, "uneven", link_shape_owner="second")
    assert refused.returncode != 0
    assert "'first'" in " ".join(refused.stdout.split())
    assert in_force()["10.214.1.11"]["spec"]["rate_mbit"] == 20

    touch_leases(bed, time.time() - 3600)
    deadline = time.monotonic() + 60
    while in_force() and time.monotonic() < deadline:
        time.sleep(0.2)
    assert in_force() == {}, "the emulator clears the links when the lease is over"
    assert shape(bed, "uneven", link_shape_owner="second", link_shape_verify=False).returncode == 0
    assert in_force()["10.214.1.11"]["owner"] == "second"
    bed.play(str(bed.folder / "clear.json"))
    assert in_force() == {}, "clearing without an owner clears whatever is there"


@pytest.mark.integration
def test_link_that_is_not_what_was_asked_for_stops_the_play(bed: VirtualTestbed) -> None:
    impossible = {"impossible": {"rate_mbit": 50000}}
    done = shape(bed, "impossible", link_shape_networks=impossible)
    assert done.returncode != 0
    said = " ".join(done.stdout.split())
    assert "bulk transfer" in said
    assert "asked 50000 Mbit/s" in said


@pytest.mark.integration
def test_unknown_network_is_refused_before_anything_is_touched(bed: VirtualTestbed) -> None:
    done = shape(bed, "lann")
    assert done.returncode != 0
    assert "'lann' (known: slow, uneven, unlimited)" in " ".join(done.stdout.split())
    assert in_force() == {}
