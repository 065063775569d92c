from __future__ import annotations

import importlib
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stage_runtime.errors import ModelError
from stage_runtime.models import zoo
from stage_runtime.models.names import (
    PAPER,
    TORCHVISION,
    canonical_model,
    check_granularity,
    input_size,
    is_weights_file,
)


@pytest.mark.parametrize(
    ("spelling", "name"),
    [
        ("AlexNet", "alexnet"),
        ("InceptionV3", "inception_v3"),
        ("Inception V3", "inception_v3"),
        ("inception-v3", "inception_v3"),
        ("MobileNetV2", "mobilenet_v2"),
        ("MobileNet-V2", "mobilenet_v2"),
        ("ResNet18", "resnet18"),
        ("ResNet-50", "resnet50"),
        ("VGG16", "vgg16"),
        ("vgg_16", "vgg16"),
        ("GoogLeNet", "googlenet"),
        ("RegNet_X_1.6GF", "regnet_x_1_6gf"),
        ("my_models.tiny:build", "my_models.tiny:build"),
    ],
)
def test_spellings_of_a_model_are_accepted(spelling: str, name: str) -> None:
    assert canonical_model(spelling) == name


@given(st.sampled_from(TORCHVISION), st.data())
def test_case_and_dashes_do_not_matter(name: str, data: st.DataObject) -> None:
    spelling = "".join(
        data.draw(st.sampled_from([letter, letter.upper(), "-" if letter == "_" else letter])) for letter in name
    )
    assert canonical_model(spelling) == name


@pytest.mark.parametrize("name", ["", "mobilnet", "vgg17", "resnet", "module:", ":function", "a b:c"])
def test_an_unknown_model_is_refused_with_those_accepted(name: str) -> None:
    with pytest.raises(ModelError, match="unknown model") as refusal:
        canonical_model(name)
    assert all(known in str(refusal.value) for known in TORCHVISION)


def test_a_near_miss_is_answered_with_a_guess() -> None:
    with pytest.raises(ModelError, match=r"did you mean mobilenet_v2"):
        canonical_model("mobilnet_v2")


def test_a_name_that_fits_two_models_is_refused() -> None:
    with pytest.raises(ModelError, match=r"regnet_x_16gf, regnet_x_1_6gf"):
        canonical_model("RegNetX16GF")


def test_the_list_is_torchvisions_own() -> None:
    torchvision = zoo.import_torchvision()
    models = importlib.import_module("torchvision.models")
    assert list(TORCHVISION) == models.list_models(module=torchvision.models)


def test_input_sizes_are_those_that_torchvision_evaluates_with() -> None:
    zoo.import_torchvision()
    models = importlib.import_module("torchvision.models")
    for name in TORCHVISION:
        first = next(iter(models.get_model_weights(name)))
        # the first weights listed are the plain ImageNet ones, but for models published otherwise only
        if "SWAG" not in first.name:
            assert [input_size(name)] == first.transforms().crop_size, name
    assert {name: input_size(name) for name in PAPER} == {name: PAPER[name].input_size for name in PAPER}


def test_granularities_are_checked() -> None:
    assert check_granularity("vgg16", "paper") == "paper"
    assert check_granularity("resnet34", "all") == "all"
    with pytest.raises(ModelError, match="unknown granularity 'fine'; one of: paper, all"):
        check_granularity("vgg16", "fine")
    with pytest.raises(ModelError, match=r"resnet34 has no paper split points.*mobilenet_v2"):
        check_granularity("resnet34", "paper")


def test_a_file_of_weights_is_told_from_a_name() -> None:
    assert is_weights_file("weights/vgg16.pth")
    assert is_weights_file("a.safetensors")
    assert not is_weights_file("IMAGENET1K_V1")


def test_names_need_no_torch() -> None:
    code = "import sys; sys.modules['torch'] = None; import stage_runtime.models.names"
    subprocess.run([sys.executable, "-c", code], check=True)
