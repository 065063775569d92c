"""Options: every form that a front end hands over, and every refusal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stage_runtime.models.names import PAPER
from sweep.errors import OptionError
from sweep.options import OPTION_HELP, Options, parse_options, parse_words

FORMS: list[tuple[str, Any, tuple[Any, ...]]] = [
    ("model", ("vgg16",), ("vgg16", "VGG16", ["vgg16"], ("VGG-16",), "[vgg16]", "['vgg16']")),
    ("model", ("vgg16", "mobilenet_v2"), ("vgg16,MobileNetV2", ["VGG16", "mobilenet_v2"], "vgg16, mobilenet_v2")),
    ("splits", ("P3", "P5-P7"), ("P3,P5-P7", ["P3", "P5-P7"])),
    ("splits", ("3",), ("3", 3, [3])),
    ("splits", (), ("all", "", ["all"])),
    ("granularity", "all", ("all",)),
    ("chains", ("a", "b"), ("a,b", ["a", "b"], " a , b ", '["a", "b"]')),
    ("networks", ("lan",), ("lan", ["lan"])),
    ("transports", ("tcp",), ("tcp", ["tcp"])),
    ("transports", ("tcp", "rpc"), ("tcp,rpc", ["tcp", "rpc"])),
    ("engine", ("eager",), ("eager", ["eager"])),
    ("engine", ("eager", "best"), ("eager,best",)),
    ("codec", ("int8", "none"), ("int8,none", ["int8", "none"])),
    ("budget", "paper", ("paper",)),
    ("batch", (8,), (8, "8", [8], ["8"])),
    ("batch", (1, 8), ("1,8", [1, 8], ["1", 8], "[1, 8]")),
    ("batches", 5, (5, "5", " 5 ")),
    ("warmup", 2, (2, "2")),
    ("repeats", 3, (3, "3")),
    ("most_repeats", 30, (30, "30")),
    ("target_percent", 2.5, (2.5, "2.5", " 2.5 ")),
    ("window", (1, 4), ("1,4", [1, 4])),
    ("weights", "IMAGENET1K_V1", ("IMAGENET1K_V1",)),
    ("num_classes", 10, (10, "10")),
    ("inputs", "default", ("default",)),
    ("seed", 0, (0, "0")),
    ("cell_s", 2.5, (2.5, "2.5")),
    ("cell_s", 0.0, (0, "0")),
    ("timeout_s", 2.5, (2.5, "2.5")),
    ("timeout_s", 30.0, (30, "30")),
    ("silence_s", 2.5, (2.5, "2.5")),
    ("patience_s", 30.0, (30, "30")),
    ("tls", True, (True, "true", "yes")),
    ("tls", False, (False, "false")),
    ("results", "2026", ("2026", 2026)),
    ("report", False, (False, "false", "no", "off", 0, "0", "False")),
    ("dry_run", True, (True, "true", "yes", "on", 1, "1", "True")),
    ("fresh", True, (True, "true")),
    ("retry_failed", True, (True, "true")),
]


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [(name, form, expected) for name, expected, forms in FORMS for form in forms],
)
def test_every_option_parses_from_text_list_and_number_alike(name: str, value: Any, expected: Any) -> None:
    extra = {"model": "vgg16"} if name != "model" else {}
    assert getattr(parse_options(extra | {name: value}), name) == expected


def test_every_option_has_a_form_tested_above_and_a_line_of_help() -> None:
    assert {name for name, _, _ in FORMS} == set(Options.__struct_fields__) == set(OPTION_HELP)


def test_defaults_hold_where_nothing_is_given() -> None:
    assert parse_options({"model": "vgg16"}) == Options(model=("vgg16",))


@given(st.lists(st.integers(1, 10**6), min_size=1, max_size=5, unique=True))
def test_lists_of_numbers_mean_the_same_as_text(numbers: list[int]) -> None:
    parsed = parse_options({"model": "vgg16", "batch": numbers})
    assert parsed.batch == tuple(numbers)
    assert parse_options({"model": "vgg16", "batch": ",".join(map(str, numbers))}) == parsed
    assert parse_options({"model": "vgg16", "batch": str(numbers)}) == parsed


BAD: list[tuple[str, Any, str]] = [
    ("model", "vgg17", "did you mean `vgg16`"),
    ("model", "vgg16,,alexnet", "empty list item"),
    ("model", "vgg16,VGG16", "twice"),
    ("model", "squeezenet1_1", "granularity=all"),
    ("splits", "P3,P3", "twice"),
    ("granularity", "papr", "did you mean `paper`"),
    ("chains", "", "empty list item"),
    ("chains", [], "empty list item"),
    ("chains", "a,a", "twice"),
    ("transports", "udp", "accepted: rpc, tcp"),
    ("silence_s", "1", "seconds from 2 to 25"),
    ("silence_s", "30", "seconds from 2 to 25"),
    ("engine", "onnx", "accepted: "),
    ("codec", "int4", "accepted: "),
    ("batch", 0, "whole numbers from 1"),
    ("batch", "8.5", "whole numbers from 1"),
    ("batch", "8,08", "twice"),
    ("batch", "eight", "whole numbers from 1"),
    ("batches", 1, "whole numbers from 2"),
    ("batches", [8, 9], "expected one value"),
    ("warmup", 0, "whole numbers from 1"),
    ("repeats", "0", "whole numbers from 1"),
    ("repeats", "-1", "whole numbers from 1"),
    ("most_repeats", 0, "whole numbers from 1"),
    ("target_percent", 0, "percent above 0"),
    ("target_percent", 101, "percent above 0"),
    ("target_percent", "nan", "percent above 0"),
    ("target_percent", "tight", "percent above 0"),
    ("budget", "papr", "did you mean `paper`"),
    ("budget", "quick,paper", "accepted: normal, paper, quick"),
    ("window", "1,-4", "whole numbers from 1"),
    ("window", {"a": 1}, "whole numbers from 1"),
    ("weights", "no/such/file.pth", "no file"),
    ("weights", "file.safetensors", "no file"),
    ("weights", "", "expected one value"),
    ("num_classes", "ten", "whole numbers from 1"),
    ("inputs", "no/such/folder", "or `default`"),
    ("inputs", "", "expected one value"),
    ("seed", "-1", "whole numbers from 0"),
    ("cell_s", "short", "seconds from 0"),
    ("timeout_s", "soon", "seconds from 0"),
    ("timeout_s", "nan", "seconds from 0"),
    ("timeout_s", "inf", "seconds from 0"),
    ("timeout_s", -1, "seconds from 0"),
    ("results", " ", "expected one value"),
    ("results", None, "expected one value"),
    ("report", "maybe", "accepted: true, false"),
    ("dry_run", 2, "accepted: true, false"),
]


@pytest.mark.parametrize(("name", "value", "said"), BAD)
def test_a_bad_value_is_refused_by_name_with_what_is_accepted(name: str, value: Any, said: str) -> None:
    with pytest.raises(OptionError) as caught:
        parse_options({"model": "vgg16"} | {name: value})
    assert f"option `{name}`" in str(caught.value)
    assert said in str(caught.value)


def test_a_misspelt_option_gets_the_accepted_ones_and_a_guess() -> None:
    with pytest.raises(OptionError) as caught:
        parse_options({"model": "vgg16", "netwroks": "lan"})
    message = str(caught.value)
    assert "unknown option `netwroks`; did you mean `networks`?" in message
    for name in Options.__struct_fields__:
        assert name in message


@pytest.mark.parametrize("raw", [{}, {"model": ""}, {"model": []}])
def test_a_missing_model_lists_the_published_ones(raw: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match="option `model` is missing") as caught:
        parse_options(raw)
    assert all(model in str(caught.value) for model in PAPER)


def test_a_wrong_model_lists_the_published_ones() -> None:
    with pytest.raises(OptionError) as caught:
        parse_options({"model": "resnet"})
    assert all(model in str(caught.value) for model in PAPER)


def test_granularity_all_takes_other_models() -> None:
    assert parse_options({"model": "squeezenet1_1", "granularity": "all"}).model == ("squeezenet1_1",)
    assert parse_options({"model": "my.models:make", "granularity": "all"}).model == ("my.models:make",)


def test_files_and_folders_become_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "w.pth").touch()
    (tmp_path / "pictures").mkdir()
    parsed = parse_options({"model": "vgg16", "weights": "w.pth", "inputs": "pictures"})
    assert parsed.weights == str(tmp_path / "w.pth")
    assert parsed.inputs == str(tmp_path / "pictures")


def test_words_become_options() -> None:
    words = parse_words(["model=vgg16", "weights=a=b", "fresh=true"])
    assert words == {"model": "vgg16", "weights": "a=b", "fresh": "true"}


@pytest.mark.parametrize(
    ("words", "said"),
    [(["vgg16"], "not of the form key=value"), (["batch=1", "batch=8"], "remedy: batch=1,8")],
)
def test_words_that_are_no_options_are_refused(words: list[str], said: str) -> None:
    with pytest.raises(OptionError, match=said):
        parse_words(words)


def test_batches_that_no_window_could_be_measured_with_are_refused() -> None:
    with pytest.raises(OptionError, match="batches=5 or more"):
        parse_options({"model": "alexnet", "batches": 4, "window": "1,4"})
    assert parse_options({"model": "alexnet", "batches": 5, "window": "1,4"}).batches == 5
