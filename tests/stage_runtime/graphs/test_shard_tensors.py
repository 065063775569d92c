from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from stage_runtime.errors import ShardError
from stage_runtime.graphs.shard_tensors import placed_tensors

_DTYPES = {"F32": torch.float32, "F16": torch.float16, "I64": torch.int64, "U8": torch.uint8, "BOOL": torch.bool}
TENSORS = st.dictionaries(
    st.text("abc._", min_size=1, max_size=6),
    st.tuples(st.sampled_from(sorted(_DTYPES)), st.lists(st.integers(0, 4), max_size=3)),
    max_size=5,
)


@settings(deadline=None, max_examples=50)
@given(TENSORS)
def test_the_bytes_that_are_named_are_the_tensors(wanted: dict[str, tuple[str, list[int]]]) -> None:
    tensors = {name: (torch.rand(shape) * 200).to(_DTYPES[dtype]) for name, (dtype, shape) in wanted.items()}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "block.safetensors"
        save_file(tensors, path, metadata={"format": "pt"})
        content = path.read_bytes()
        placed = placed_tensors(path)
    assert placed.keys() == tensors.keys()
    for name, tensor in tensors.items():
        found = placed[name]
        assert (found.dtype, found.shape) == (wanted[name][0], tuple(tensor.shape))
        assert content[found.offset : found.offset + found.length] == tensor.numpy().tobytes()


@pytest.mark.parametrize("content", [b"", b"1234", b"\xff" * 40, (2).to_bytes(8, "little") + b"[]"])
def test_a_file_of_another_kind_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "block.safetensors"
    path.write_bytes(content)
    with pytest.raises(ShardError, match=r"block\.safetensors is no safetensors file"):
        placed_tensors(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ShardError, match=r"no block file at .*gone\.safetensors; make the model's shards again"):
        placed_tensors(tmp_path / "gone.safetensors")
