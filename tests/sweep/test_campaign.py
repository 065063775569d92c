"""A campaign's folder: which one, whose, and written whole."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sweep.campaign import Campaign, campaign_stem, choose_folder
from sweep.errors import CampaignError
from tests.sweep.support import options

CHECKOUT = Path(__file__).parents[2]


def test_the_same_options_find_the_same_folder(tmp_path: Path) -> None:
    one = choose_folder(options(results=str(tmp_path)))
    assert one.parent == tmp_path
    assert one.name.startswith("alexnet-")
    one.mkdir()
    assert choose_folder(options(results=str(tmp_path))) == one


@pytest.mark.parametrize(
    "more",
    [
        {"networks": "slow"},
        {"networks": "lan,slow"},
        {"chains": "trio", "splits": "all"},
        {"splits": "P5"},
        {"window": "1,4,6"},
        {"repeats": 5},
        {"most_repeats": 5},
        {"target_percent": 2},
        {"transports": "tcp,rpc"},
        {"timeout_s": 5},
        {"retry_failed": True},
        {"report": True},
    ],
    ids=str,
)
def test_asking_for_more_extends_the_campaign(more: dict[str, Any]) -> None:
    assert campaign_stem(options(**more)) == campaign_stem(options())


@pytest.mark.parametrize(
    "other",
    [
        {"model": "vgg16"},
        {"model": "alexnet,vgg16"},
        {"granularity": "all"},
        {"batch": 4},
        {"batches": 9},
        {"cell_s": 3},
        {"warmup": 2},
        {"weights": "IMAGENET1K_V1"},
        {"num_classes": 10},
        {"inputs": "/"},
        {"seed": 1},
    ],
    ids=str,
)
def test_another_kind_of_rows_is_another_campaign(other: dict[str, Any]) -> None:
    assert campaign_stem(options(**other)) != campaign_stem(options())


def test_names_stay_short_and_name_files(tmp_path: Path) -> None:
    odd = campaign_stem(options(model="my.models:make", granularity="all"))
    assert (tmp_path / odd).parent == tmp_path
    assert ":" not in odd
    many = ["vgg11", "vgg13", "vgg16", "vgg19", "resnet18", "resnet34", "resnet50", "resnet101", "resnet152"]
    assert campaign_stem(options(model=many, granularity="all")).startswith("9-models-")


def test_fresh_begins_another_try_and_the_next_command_goes_on_with_it(tmp_path: Path) -> None:
    results = {"results": str(tmp_path)}
    first = choose_folder(options(**results, fresh=True))
    assert first == choose_folder(options(**results)), "nothing is there yet to begin anew"
    first.mkdir()
    for number in (2, 3):
        again = choose_folder(options(**results, fresh=True))
        assert again.name == f"{first.name}.{number}"
        again.mkdir()
        assert choose_folder(options(**results)) == again
    (tmp_path / f"{first.name}.10").mkdir()
    assert choose_folder(options(**results)).name.endswith(".10"), "numbers are compared as numbers"
    (tmp_path / f"{first.name}.old").mkdir()
    assert choose_folder(options(**results)).name.endswith(".10")


def test_a_packed_campaign_is_not_gone_on_with(tmp_path: Path) -> None:
    results = {"results": str(tmp_path)}
    folder = choose_folder(options(**results))
    folder.mkdir()
    (folder / "journal.jsonl.gz").touch()
    with pytest.raises(CampaignError, match=r"packed for shipping.*fresh=true"):
        choose_folder(options(**results))
    assert choose_folder(options(**results, fresh=True)).name == f"{folder.name}.2"


def test_a_campaign_belongs_to_one_process_at_a_time(tmp_path: Path) -> None:
    folder = tmp_path / "c"
    with (
        Campaign(folder),
        pytest.raises(CampaignError, match=rf"being written by process {os.getpid()}; remedy: wait for it"),
    ):
        Campaign(folder)
    with Campaign(folder) as campaign:
        assert campaign.name == "c"
        assert campaign.journal_path == folder / "journal.jsonl"


def test_a_campaign_whose_process_was_killed_is_free(tmp_path: Path) -> None:
    code = (
        "import os, sys, signal, pathlib\n"
        "from sweep.campaign import Campaign\n"
        "campaign = Campaign(pathlib.Path(sys.argv[1]))\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "c")], cwd=CHECKOUT, check=False)
    assert done.returncode == -9
    with Campaign(tmp_path / "c"):
        assert (tmp_path / "c" / ".lock").read_text() == f"{os.getpid()}\n"


def test_a_program_that_the_sweep_starts_does_not_hold_the_campaign(tmp_path: Path) -> None:
    campaign = Campaign(tmp_path / "c")
    with subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, close_fds=False) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(b"the child is up\n")
        child.stdin.flush()
        child.stdout.readline()
        campaign.close()
        Campaign(tmp_path / "c").close()


def test_a_results_folder_that_cannot_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CampaignError, match=r"remedy: results=PATH"):
        Campaign(choose_folder(options(results=str(tmp_path / "file"))))


def test_json_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    with Campaign(tmp_path / "c") as campaign:
        path = campaign.write_json("provenance/a.json", {"b": 1})
        assert path.read_bytes() == b'{\n  "b": 1\n}\n'
        with pytest.raises(TypeError):
            campaign.write_json("provenance/a.json", {"b": object()})
        assert path.read_bytes() == b'{\n  "b": 1\n}\n'
        assert list(path.parent.iterdir()) == [path]


def test_json_that_the_disk_refuses_is_a_campaign_error(tmp_path: Path) -> None:
    with Campaign(tmp_path / "c") as campaign:
        (tmp_path / "c" / "a.json").mkdir()
        with pytest.raises(CampaignError, match=r"a\.json"):
            campaign.write_json("a.json", {})
