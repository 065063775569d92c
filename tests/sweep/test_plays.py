"""Inner plays, run for real against local hosts: what comes back, and how they end."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from sweep.errors import CampaignError, PlayError
from sweep.plays import reason_of, remove_leftovers, run_play

PRIVATE = "must not be written anywhere"
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
          when: inventory_hostname in ['good', 'looping']
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
        self.gate = folder / "gate"  # a command outlives its cancelled play, until this exists
        self.inventory = folder / "hosts.yml"
        self.inventory.write_text(dedent(INVENTORY))
        self.results: list[tuple[str, str, Any]] = []

    def run(self, play: str, **settings: Any) -> Any:
        path = self.folder / "play.yml"
        path.write_text(dedent(play))
        everything: dict[str, Any] = {
            "inventory": str(self.inventory),
            "work": self.work,
            "variables": {"number": 1, "gate": str(self.gate)},
            "on_result": lambda host, task, result: self.results.append((host, task, result)),
        }
        return run_play(path, **(everything | settings))

    @property
    def left(self) -> list[str]:
        """What lies in the work folder, by name."""
        return sorted(path.name for path in self.work.rglob("*") if path.is_file())


SLOW = """
    - hosts: good
      gather_facts: false
      tasks:
        - name: Wait
          ansible.builtin.raw: for i in $(seq {{ item }}); do test -e {{ gate }} && exit; sleep 0.1; done
          loop: [0, 600]
"""


def run_mixed(ground: Playground) -> Any:
    return ground.run(PLAY)


def run_limited(ground: Playground) -> Any:
    return ground.run(PLAY, limit="good,caught")


def run_with_a_listener_that_raises(ground: Playground) -> Any:
    def raise_it(_host: str, task: str, _result: object) -> None:
        assert task == "Wait"
        raise LookupError("disk full")

    return ground.run(SLOW, on_result=raise_it)


def run_on_a_disk_that_fills(ground: Playground) -> Any:
    def refuse(folder: Path) -> None:
        if folder == ground.work and ground.results:
            raise CampaignError(f"{folder}: its disk is full")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sweep.plays.refuse_full_disk", refuse)
        return ground.run(SLOW)


def run_cancelled(ground: Playground) -> Any:
    return ground.run(SLOW, cancelled=lambda: bool(ground.results))


def run_nonsense(ground: Playground) -> Any:
    return ground.run("- hosts: all\n  tasks:\n    - no_such_action_here:\n")


SCENES = (run_mixed, run_limited, run_with_a_listener_that_raises, run_cancelled, run_nonsense)


class Scene:
    """A playground, and what came of the play in it."""

    def __init__(self, ground: Playground, outcome: Any) -> None:
        self.ground = ground
        self.outcome = outcome


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> dict[Callable[[Playground], Any], Scene]:
    """Run all plays at once, from threads, as the driver does with chains that share nothing."""

    def play(scene: Callable[[Playground], Any], ground: Playground) -> Scene:
        try:
            return Scene(ground, scene(ground))
        except Exception as exc:  # noqa: BLE001 - a test looks at it
            return Scene(ground, exc)
        finally:
            ground.gate.touch()

    grounds = [Playground(tmp_path_factory.mktemp("play")) for _ in SCENES]
    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(len(SCENES)) as pool:
        patch.setenv("SBH_PRIVATE", PRIVATE)
        return dict(zip(SCENES, pool.map(play, SCENES, grounds), strict=True))


Scenes = dict[Callable[[Playground], Any], Scene]


def test_a_play_tells_what_became_of_every_host(scenes: Scenes) -> None:
    ground, result = scenes[run_mixed].ground, scenes[run_mixed].outcome
    assert not result.ok
    assert set(result.failed) == {"bad", "looping"}, "what was caught or ignored is no failure"
    assert result.failed["bad"] == "Fail: no such luck"
    assert result.failed["looping"] == "Fail at an item: 2 is too much"
    assert set(result.unreachable) == {"gone"}
    assert result.reasons["gone"].startswith("unreachable: ")
    assert set(result.reasons) == {"bad", "looping", "gone"}
    assert ground.left == [result.log.name]
    assert "no such luck" in result.log.read_text()


def test_results_and_loop_items_arrive_with_host_and_task(scenes: Scenes) -> None:
    results = scenes[run_mixed].ground.results
    facts = {host: one["ansible_facts"]["given"] for host, task, one in results if task == "Say what was given"}
    assert set(facts) == {"good", "bad", "caught", "looping", "gone"}
    assert {int(value) for value in facts.values()} == {2}, "variables keep their type"
    items = [one["msg"] for host, task, one in results if task == "Loop" and "results" not in one]
    assert items == ["item a", "item b"]
    assert {host for host, task, _ in results if task == "Meet the hosts"} == {"good", "caught"}


def test_a_play_that_goes_well_leaves_nothing_and_limits_its_hosts(scenes: Scenes) -> None:
    ground, result = scenes[run_limited].ground, scenes[run_limited].outcome
    assert result.ok
    assert result.reasons == {}
    assert {host for host, _, _ in ground.results} == {"good", "caught"}
    assert ground.left == []


def test_what_a_listener_raises_ends_the_play_and_is_raised(scenes: Scenes) -> None:
    scene = scenes[run_with_a_listener_that_raises]
    assert isinstance(scene.outcome, LookupError)
    (log,) = scene.ground.left
    assert "PLAY RECAP" not in (scene.ground.work / log).read_text(), "the play did not go on to its end"


def test_a_play_on_a_disk_that_fills_ends_before_what_it_says_is_lost(tmp_path: Path) -> None:
    ground = Playground(tmp_path)
    try:
        with pytest.raises(CampaignError, match="its disk is full"):
            run_on_a_disk_that_fills(ground)
    finally:
        ground.gate.touch()
    assert [task for _, task, _ in ground.results] == ["Wait"]
    assert not list(ground.work.glob("artifacts/*"))


def test_a_play_whose_words_cannot_be_kept_is_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(**_given: object) -> None:
        raise ValueError("Expecting value: line 1 column 1 (char 0)")  # as of a file that was cut short

    monkeypatch.setattr("sweep.plays.ansible_runner.run", run)
    with pytest.raises(CampaignError, match=r"a play cannot be followed \(Expecting value.*free some space"):
        Playground(tmp_path).run(SLOW)
    assert Playground(tmp_path).left == [], "nor are its variables left"


def test_of_plays_that_are_over_only_their_logs_stay(tmp_path: Path) -> None:
    work = tmp_path / ".plays"
    for name in ("artifacts/provision-1/stdout", "near@lan/artifacts/condition-2/command", "far@lan/cells/0.json"):
        (work / name).parent.mkdir(parents=True)
        (work / name).write_text(PRIVATE)
    log = work / "near@lan" / "condition-2.log"
    log.write_text("no such luck")
    remove_leftovers(work)
    assert [path for path in work.rglob("*") if path.is_file()] == [log]
    assert sorted(path.name for path in work.iterdir()) == ["near@lan"]
    log.unlink()
    remove_leftovers(work)
    assert not work.exists()
    remove_leftovers(work)


def test_a_cancelled_play_ends_without_a_complaint(scenes: Scenes) -> None:
    scene = scenes[run_cancelled]
    assert not scene.outcome.ok
    assert scene.outcome.status == "canceled"
    assert [task for _, task, _ in scene.ground.results] == ["Wait"]
    assert "PLAY RECAP" not in scene.outcome.log.read_text()


def test_a_play_that_does_not_parse_is_an_error_with_its_output(scenes: Scenes) -> None:
    error = scenes[run_nonsense].outcome
    assert isinstance(error, PlayError)
    assert "play `play` ended as failed" in str(error)
    log = Path(str(error).rpartition(" ")[2])
    assert "no_such_action_here" in log.read_text()


def test_no_play_writes_the_environment_down(scenes: Scenes) -> None:
    for scene in scenes.values():
        files = [path for path in scene.ground.folder.rglob("*") if path.is_file()]
        assert files
        assert [path for path in files if PRIVATE.encode() in path.read_bytes()] == []


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


def test_a_host_key_that_is_not_known_is_explained() -> None:
    said = "Failed to connect: No ED25519 host key is known for 10.0.0.9. Host key verification failed."
    assert "ansible-playbook playbooks/trust.yml asks for it once" in reason_of({"msg": said, "unreachable": True})
