from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
import torch
from torch import nn

from stage_runtime.errors import FormatError, ModelError, ShardError
from stage_runtime.models.loading import StageLoader
from stage_runtime.shards.store import ShardStore
from tests.stage_runtime.models.comparing import MakeShards

MODEL = "mobilenet_v2"


def _weights(module: nn.Module) -> dict[str, torch.Tensor]:
    return dict(module.named_parameters()) | dict(module.named_buffers())


def _skeleton_bytes(loader: StageLoader) -> int:
    """Count the bytes that the loader's blocks hold in memory, the bare ones counting for nothing."""
    return sum(
        tensor.numel() * tensor.element_size()
        for skeleton in loader._skeletons.values()
        for block in skeleton.blocks
        for tensor in _weights(block).values()
        if not tensor.is_meta
    )


def test_only_the_stages_own_blocks_take_memory(sharded: MakeShards) -> None:
    manifest, folder = sharded(MODEL)
    loader = StageLoader(folder)
    for first, last in ((0, 3), (3, 19), (2, 4), (19, 19), (0, 19)):
        stage = loader.load(manifest.manifest_id, first, last)
        expected = sum(entry.parameter_bytes for entry in manifest.blocks[first:last])
        assert _skeleton_bytes(loader) == stage.parameter_bytes == expected


def test_weights_are_mapped_from_the_files(sharded: MakeShards) -> None:
    manifest, folder = sharded(MODEL)
    loader = StageLoader(folder)
    loader.load(manifest.manifest_id, 17, 19)
    maps = Path("/proc/self/maps").read_text()
    assert {entry.index for entry in manifest.blocks if entry.sha256 in maps} == {17, 18}
    loader.load(manifest.manifest_id, 0, 0)
    assert not any(entry.sha256 in Path("/proc/self/maps").read_text() for entry in manifest.blocks)


def test_blocks_that_the_next_stage_needs_stay_loaded(sharded: MakeShards) -> None:
    manifest, folder = sharded(MODEL)
    loader = StageLoader(folder)
    loader.load(manifest.manifest_id, 0, 5)
    blocks = loader._skeletons[manifest.manifest_id].blocks
    before = [next(iter(_weights(block).values())).data_ptr() for block in blocks[:5]]
    loader.load(manifest.manifest_id, 2, 8)
    after = [next(iter(_weights(block).values())) for block in blocks[:8]]
    assert [tensor.data_ptr() for tensor in after[2:5]] == before[2:5]
    assert [tensor.is_meta for tensor in after] == [True] * 2 + [False] * 6


def test_another_model_takes_the_place_of_the_first(sharded: MakeShards) -> None:
    manifest, folder = sharded(MODEL)
    others = [sharded(name, "all", input_size=64)[0] for name in ("squeezenet1_1", "squeezenet1_0")]
    loader = StageLoader(folder)
    images = torch.zeros(1, 3, 64, 64)
    for wanted in (manifest, *others, manifest):
        stage = loader.load(wanted.manifest_id, 0, len(wanted.blocks))
        assert _skeleton_bytes(loader) == stage.parameter_bytes
        assert len(loader._skeletons) <= 2
        assert stage.forward(images).shape == (1, 10)


def test_an_empty_stage_passes_its_input_on(sharded: MakeShards) -> None:
    manifest, folder = sharded(MODEL)
    loader = StageLoader(folder)
    images = torch.randn(2, 3, 224, 224)
    stage = loader.load(manifest.manifest_id, 0, 0)
    assert torch.equal(stage.forward(images), images)
    assert stage.output_spec(2) == stage.input_spec(2) == ((2, 3, 224, 224), torch.float32)
    assert loader.load(manifest.manifest_id, 19, 19).output_spec(4) == ((4, 10), torch.float32)


@pytest.mark.parametrize("name", [MODEL, "alexnet"])
def test_output_specs_are_what_comes_out(name: str, sharded: MakeShards) -> None:
    manifest, folder = sharded(name)
    loader = StageLoader(folder)
    for index in range(len(manifest.blocks)):
        stage = loader.load(manifest.manifest_id, index, index + 1)
        shape, dtype = stage.input_spec(1)
        output = stage.forward(torch.zeros(shape, dtype=dtype))
        assert (output.shape, output.dtype) == stage.output_spec(1)


def test_no_stage_writes_to_its_input(sharded: MakeShards) -> None:
    """AlexNet's block 1 is a ReLU in place; as the first of a stage it must not be."""
    manifest, folder = sharded("alexnet")
    loader = StageLoader(folder)
    images = torch.randn(1, 3, 224, 224)
    crossing = loader.load(manifest.manifest_id, 0, 1).forward(images)
    assert bool((crossing < 0).any())
    kept = crossing.clone()
    stage = loader.load(manifest.manifest_id, 1, 2)
    output = stage.forward(crossing)
    assert torch.equal(crossing, kept)
    assert torch.equal(output, kept.relu())
    # not by copying the input first, which would be measured
    assert [name for name, _ in stage.module.named_children()] == ["block_1"]
    assert stage.module.get_submodule("block_1").inplace is False
    inside = loader.load(manifest.manifest_id, 0, 2)
    assert inside.module.get_submodule("block_1").inplace is True


_IN_PLACE = """
from torch import nn


class Model(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.head = nn.Linear(3, num_classes)
        self.register_buffer("shift", (self.head.weight.detach().sum() + 1) * 0 + 2, persistent=False)

    def forward(self, x):
        x.mul_(2)
        return self.head(x.mean((2, 3)) + self.shift)


def build(num_classes):
    return Model(num_classes)


def nothing():
    return 3
"""


def test_a_users_module_is_cut_and_loaded(sharded: MakeShards, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "user_model_in_place.py").write_text(_IN_PLACE)
    monkeypatch.syspath_prepend(tmp_path)
    manifest, folder = sharded("user_model_in_place:build", "all", input_size=8)
    assert manifest.split_points == (1, 2)
    loader = StageLoader(folder)
    images = torch.randn(2, 3, 8, 8)
    kept = images.clone()
    stage = loader.load(manifest.manifest_id, 0, 3)
    output = stage.forward(images)
    assert torch.equal(images, kept)
    head = stage.module.get_submodule("block_2.head")
    with torch.inference_mode():
        # the buffer that state_dict leaves out came along
        assert torch.allclose(output, head((2 * kept).mean((2, 3)) + 2))


def test_a_users_function_that_cannot_be_used_is_refused(
    sharded: MakeShards, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "user_model_wrong.py").write_text(_IN_PLACE)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModelError, match="no module 'user_model_absent' on this machine; it must be importable"):
        sharded("user_model_absent:build", "all")
    with pytest.raises(ModelError, match="module user_model_wrong has no 'absent'"):
        sharded("user_model_wrong:absent", "all")
    with pytest.raises(ModelError, match="the function returned int, not a torch module"):
        sharded("user_model_wrong:nothing", "all")


@pytest.mark.parametrize(("first", "last"), [(-1, 3), (3, 2), (0, 20), (20, 20)])
def test_a_range_that_the_model_does_not_have_is_refused(first: int, last: int, sharded: MakeShards) -> None:
    manifest, folder = sharded(MODEL)
    with pytest.raises(ModelError, match=r"mobilenet_v2 has blocks 0 to 18; \["):
        StageLoader(folder).load(manifest.manifest_id, first, last)


def test_a_manifest_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ShardError, match=r"no manifest at .*0123456789abcdef"):
        StageLoader(tmp_path).load("0123456789abcdef", 0, 1)
    with pytest.raises(FormatError, match=r"manifest id '../../etc' is not 16 hexadecimal digits"):
        StageLoader(tmp_path).load("../../etc", 0, 1)


@pytest.mark.parametrize("damage", ["absent", "truncated", "altered"])
def test_a_damaged_shard_is_refused_and_a_mended_one_loaded(damage: str, sharded: MakeShards, tmp_path: Path) -> None:
    manifest, cache = sharded(MODEL)
    folder = tmp_path / "shards"
    shutil.copytree(cache / manifest.manifest_id, folder / manifest.manifest_id)
    (folder / "blocks").mkdir()
    for entry in manifest.blocks[:3]:
        shutil.copy(ShardStore(cache).block_path(entry.sha256), folder / "blocks")
    path = ShardStore(folder).block_path(manifest.blocks[1].sha256)
    good = path.read_bytes()
    if damage == "absent":
        path.unlink()
    else:
        path.write_bytes(good[:-4] if damage == "truncated" else good[:-1] + bytes([good[-1] ^ 1]))
    loader = StageLoader(folder)
    loader.load(manifest.manifest_id, 0, 1)  # what is whole can be used
    with pytest.raises(ShardError, match=f"mobilenet_v2: block file {path} is not usable"):
        loader.load(manifest.manifest_id, 0, 3)
    path.write_bytes(good)
    os.utime(path)
    assert loader.load(manifest.manifest_id, 0, 3).forward(torch.zeros(1, 3, 224, 224)).shape == (1, 24, 56, 56)


def test_a_shard_altered_after_it_was_loaded_is_noticed_by_the_next_cell(sharded: MakeShards, tmp_path: Path) -> None:
    manifest, cache = sharded(MODEL)
    folder = tmp_path / "shards"
    shutil.copytree(cache, folder)
    path = ShardStore(folder).block_path(manifest.blocks[1].sha256)
    good = path.read_bytes()
    loader = StageLoader(folder)
    images = torch.randn(1, 3, 224, 224)
    right = loader.load(manifest.manifest_id, 0, 3).forward(images).clone()
    with path.open("r+b") as file:
        file.seek(-4, os.SEEK_END)
        file.write(b"\0\0\0\x45")  # 2048.0, in place, as the mapped weights see it
    with pytest.raises(ShardError, match="content has the sha256"):
        loader.load(manifest.manifest_id, 0, 3)
    assert not path.exists(), "its name is right, and its content is not"
    assert _skeleton_bytes(loader) == 0
    path.write_bytes(good)
    assert torch.equal(loader.load(manifest.manifest_id, 0, 3).forward(images), right)


def test_shards_of_another_variant_are_refused(sharded: MakeShards, tmp_path: Path) -> None:
    manifest, cache = sharded(MODEL)
    folder = tmp_path / "shards"
    (folder / manifest.manifest_id).mkdir(parents=True)
    (folder / "blocks").symlink_to(cache / "blocks")
    text = (cache / manifest.manifest_id / "manifest.json").read_text()
    path = folder / manifest.manifest_id / "manifest.json"
    path.write_text(text.replace('"num_classes": 10', '"num_classes": 11'))
    with pytest.raises(ModelError, match=r"block 18 \(tail\): .* has the shape"):
        StageLoader(folder).load(manifest.manifest_id, 18, 19)
    path.write_text(text.replace('"name": "features.3"', '"name": "features.33"'))
    with pytest.raises(ModelError, match=r"features.33.*bring this machine's runtime up to date"):
        StageLoader(folder).load(manifest.manifest_id, 18, 19)
