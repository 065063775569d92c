"""Inner plays, run for real against local hosts: what comes back, and how they end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from sweep.errors import PlayError
from sweep.plays import reason_of, run_play

INVENTORY = """
    all:
      vars: {ansible_connection: local, ansible_python_interpreter: "{{ ansible_playbook_python }}"}
      hosts:
        good: {}
        bad: {}
        caught: {}
        looping: {}
        gone: {ansible_connection: ssh, ansible_host: 127.0.0.1, ansible_port: 1}
"""
PLAY = """
    - hosts: all
      gather_facts: false
      tasks:
        - name: Say what was given
          ansible.builtin.set_fact: {given: "{{ number + 1 }}"}
        - name: Loop
          ansible.builtin.debug: {msg: "item {{ item }}"}
          loop: [a, b]
          when: inventory_hostname == 'good'
        - name: Fail and catch it
          when: inventory_hostname == 'caught'
          block:
            - name: Fail
              ansible.builtin.fail: {msg: caught later}
          rescue:
            - name: Catch
              ansible.builtin.debug: {msg: caught}
        - name: Ignore items that fail
          ansible.builtin.fail: {msg: ignored}
          loop: [1, 2]
          when: inventory_hostname in ['caught', 'looping']
          ignore_errors: true
        - name: Fail at an item
          ansible.builtin.assert: {that: "item < 2", fail_msg: "{{ item }} is too much"}
          loop: [1, 2, 3]
          when: inventory_hostname == 'looping'
        - name: Fail
          ansible.builtin.fail: {msg: no such luck}
          when: inventory_hostname == 'bad'
        - name: Meet the hosts
          ansible.builtin.raw: echo met
"""


class Playground:
    """A folder with an inventory and a playbook."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.work = folder / "work"
        self.inventory = folder / "hosts.yml"
        self.inventory.write_text(dedent(INVENTORY))
        self.results: list[tuple[str, str, Any]] = []

    def run(self, play: str, **settings: Any) -> Any:
        path = self.folder / "play.yml"
        path.write_text(dedent(play))
        everything: dict[str, Any] = {
            "inventory": str(self.inventory),
            "work": self.work,
            "variables": {"number": 1},
            "on_result": lambda host, task, result: self.results.append((host, task, result)),
        }
        return run_play(path, **(everything | settings))

    @property
    def left(self) -> list[str]:
        """What lies in the work folder, by name."""
        return sorted(path.name for path in self.work.rglob("*") if path.is_file())


@pytest.fixture
def ground(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Playground]:
    monkeypatch.setenv("SB_PRIVATE", "must not be written anywhere")
    yield Playground(tmp_path)
    for path in (tmp_path / "work").rglob("*"):
        assert not path.is_file() or b"must not be written" not in path.read_bytes()


def test_a_play_tells_what_became_of_every_host(ground: Playground) -> None:
    result = ground.run(PLAY)
    assert not result.ok
    assert set(result.failed) == {"bad", "looping"}, "what was caught or ignored is no failure"
    assert result.failed["bad"] == "Fail: no such luck"
    assert result.failed["looping"] == "Fail at an item: 2 is too much"
    assert set(result.unreachable) == {"gone"}
    assert result.reasons["gone"].startswith("unreachable: ")
    assert set(result.reasons) == {"bad", "looping", "gone"}
    facts = {host: one["ansible_facts"]["given"] for host, task, one in ground.results if task == "Say what was given"}
    assert set(facts) == {"good", "bad", "caught", "looping", "gone"}
    assert {int(value) for value in facts.values()} == {2}, "variables keep their type"
    items = [
        one["msg"] for host, task, one in ground.results if task == "Loop" and "msg" in one and "results" not in one
    ]
    assert items[:2] == ["item a", "item b"]
    assert {host for host, task, _ in ground.results if task == "Meet the hosts"} == {"good", "caught"}
    assert ground.left == [result.log.name]
    assert "no such luck" in result.log.read_text()


def test_a_play_that_goes_well_leaves_nothing_and_limits_its_hosts(ground: Playground) -> None:
    result = ground.run(PLAY, limit="good,caught")
    assert result.ok
    assert result.reasons == {}
    assert {host for host, _, _ in ground.results} == {"good", "caught"}
    assert ground.left == []


SLOW = """
    - hosts: good
      gather_facts: false
      tasks:
        - name: Wait
          ansible.builtin.raw: sleep {{ item }}
          loop: [0, 60]
"""


def test_what_a_listener_raises_ends_the_play_and_is_raised(ground: Playground) -> None:
    def raise_it(_host: str, task: str, _result: object) -> None:
        assert task == "Wait"
        raise LookupError("disk full")

    with pytest.raises(LookupError, match="disk full"):
        ground.run(SLOW, on_result=raise_it)
    (log,) = ground.left
    assert "PLAY RECAP" not in (ground.work / log).read_text(), "the play did not go on to its end"


def test_a_cancelled_play_ends_without_a_complaint(ground: Playground) -> None:
    result = ground.run(SLOW, cancelled=lambda: bool(ground.results))
    assert not result.ok
    assert result.status == "canceled"
    assert [task for _, task, _ in ground.results] == ["Wait"]
    assert "PLAY RECAP" not in result.log.read_text()


def test_a_play_that_does_not_parse_is_an_error_with_its_output(ground: Playground) -> None:
    with pytest.raises(PlayError, match=r"play `play` ended as failed .*its output: (.*)$") as caught:
        ground.run("- hosts: all\n  tasks:\n    - no_such_action_here:\n")
    log = Path(str(caught.value).rpartition(" ")[2])
    assert "no_such_action_here" in log.read_text()


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        ({"msg": "no"}, "no"),
        ({"msg": "no", "stderr": "why\n"}, "no | why"),
        ({"msg": "no", "stderr": "no"}, "no"),
        ({"msg": "", "module_stderr": "trace"}, "trace"),
        ({"exception": "trace"}, "trace"),
        ({}, "no reason given"),
    ],
)
def test_a_reason_is_what_a_reader_needs(result: dict[str, str], reason: str) -> None:
    assert reason_of(result) == reason


def test_a_long_reason_keeps_its_end() -> None:
    reason = reason_of({"msg": "x" * 10_000 + "the end"})
    assert reason.endswith("the end")
    assert len(reason) < 700
