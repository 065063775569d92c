"""Graphs: made once, small, and with every weight in the shard of its block."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import onnx
import pytest

from stage_runtime.errors import ModelError, ShardError
from stage_runtime.formats.manifest import Manifest
from stage_runtime.graphs.__main__ import main
from stage_runtime.graphs.cut import cut_range
from stage_runtime.graphs.export import export_model
from stage_runtime.graphs.make import GraphMaker
from stage_runtime.graphs.places import graph_path, graphs_folder
from stage_runtime.graphs.shard_tensors import placed_tensors
from stage_runtime.shards.store import ShardStore
from tests.stage_runtime.graphs.making import every_range, make_model


@pytest.fixture(scope="module")
def graphed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Manifest]:
    """Make all graphs of the small model; give the cache and the manifest."""
    cache = tmp_path_factory.mktemp("graphed")
    manifest = make_model(cache, "small")
    GraphMaker(cache).make(manifest.manifest_id, every_range(manifest))
    return cache, manifest


def _graph(cache: Path, manifest: Manifest, first: int, last: int) -> onnx.GraphProto:
    return onnx.load(graph_path(cache / "shards", manifest.manifest_id, first, last), load_external_data=False).graph


def test_every_weight_of_a_graph_lies_in_the_shard_of_one_of_its_blocks(graphed: tuple[Path, Manifest]) -> None:
    cache, manifest = graphed
    store = ShardStore(cache / "shards")
    for first, last in every_range(manifest):
        files = {f"{entry.sha256}.safetensors" for entry in manifest.blocks[first:last]}
        for weight in _graph(cache, manifest, first, last).initializer:
            assert weight.data_location == onnx.TensorProto.EXTERNAL
            assert not weight.HasField("raw_data")
            where = {entry.key: entry.value for entry in weight.external_data}
            assert where["location"] in files
            path = store.folder / "blocks" / where["location"]
            named = {(one.offset, one.length) for one in placed_tensors(path).values()}
            assert (int(where["offset"]), int(where["length"])) in named


def test_all_ranges_together_name_each_weight_that_computes_once_per_block(graphed: tuple[Path, Manifest]) -> None:
    cache, manifest = graphed
    count = len(manifest.blocks)
    whole = sorted(weight.name for weight in _graph(cache, manifest, 0, count).initializer)
    apart = [_graph(cache, manifest, index, index + 1) for index in range(count)]
    assert sorted(weight.name for graph in apart for weight in graph.initializer) == whole
    assert any("running_mean" in name for name in whole)


def test_what_crosses_has_the_manifests_shape_for_any_batch(graphed: tuple[Path, Manifest]) -> None:
    cache, manifest = graphed
    for first, last in every_range(manifest):
        graph = _graph(cache, manifest, first, last)
        for (value,), spec in ((graph.input, _spec(manifest, first)), (graph.output, _spec(manifest, last))):
            batch, *sizes = value.type.tensor_type.shape.dim
            assert batch.dim_param == "batch"
            assert tuple(size.dim_value for size in sizes) == spec


def _spec(manifest: Manifest, point: int) -> tuple[int, ...]:
    return (manifest.blocks[point - 1].output if point else manifest.input).shape


def test_a_graph_holds_no_path_of_the_machine_that_made_it(graphed: tuple[Path, Manifest]) -> None:
    cache, manifest = graphed
    content = graph_path(cache / "shards", manifest.manifest_id, 0, len(manifest.blocks)).read_bytes()
    assert str(cache).encode() not in content
    assert b".py" not in content
    assert b"site-packages" not in content


def test_nothing_is_exported_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    exported: list[str] = []

    def export(manifest: Manifest, store: ShardStore) -> onnx.ModelProto:
        exported.append(manifest.manifest_id)
        return export_model(manifest, store)

    monkeypatch.setattr("stage_runtime.graphs.export.export_model", export)
    monkeypatch.setattr("stage_runtime.graphs.make.is_user_model", lambda _model: False)
    manifest = make_model(tmp_path, "small")
    maker = GraphMaker(tmp_path)
    size, changed = maker.make(manifest.manifest_id, [(0, 2), (0, 2)])
    path = graph_path(tmp_path / "shards", manifest.manifest_id, 0, 2)
    assert (size, changed) == (path.stat().st_size, True)
    assert maker.make(manifest.manifest_id, [(0, 2)]) == (size, False)
    assert maker.make(manifest.manifest_id, [(0, 2), (2, 3)])[1]
    assert exported == [manifest.manifest_id]


def test_what_another_version_made_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stage_runtime.graphs.make.is_user_model", lambda _model: False)
    manifest = make_model(tmp_path, "small")
    GraphMaker(tmp_path).make(manifest.manifest_id, [(0, 1), (1, 3)])
    folder = graphs_folder(tmp_path / "shards", manifest.manifest_id)
    before = (folder / "1-3.onnx").read_bytes()
    (folder / "1-3.onnx").write_bytes(b"of another version")
    (tmp_path / "graphs" / manifest.manifest_id / "made_by").write_text("another version")
    assert GraphMaker(tmp_path).make(manifest.manifest_id, [(1, 3)])[1]
    assert (folder / "1-3.onnx").read_bytes() == before
    assert [path.name for path in folder.iterdir()] == ["1-3.onnx"]


def test_a_users_model_is_exported_each_time_and_written_only_where_it_differs(tmp_path: Path, small: Manifest) -> None:
    maker = GraphMaker(tmp_path)
    assert maker.make(small.manifest_id, [(0, 1)])[1]
    assert not maker.make(small.manifest_id, [(0, 1)])[1]
    graph_path(tmp_path / "shards", small.manifest_id, 0, 1).write_bytes(b"of an older function")
    assert maker.make(small.manifest_id, [(0, 1)])[1]


def test_what_is_no_range_is_refused(tmp_path: Path, small: Manifest) -> None:
    for wrong in ((2, 2), (3, 1), (0, len(small.blocks) + 1)):
        with pytest.raises(ModelError, match=rf"\[{wrong[0]}, {wrong[1]}\) is no range of them"):
            GraphMaker(tmp_path).make(small.manifest_id, [(0, 1), wrong])
    assert not graphs_folder(tmp_path / "shards", small.manifest_id).exists()


def test_a_model_that_cannot_be_exported_says_which_engines_are_left(tmp_path: Path) -> None:
    manifest = make_model(tmp_path, "not_exportable")
    with pytest.raises(ModelError, match=r"not_exportable cannot be exported .* take engine eager or channels_last"):
        GraphMaker(tmp_path).make(manifest.manifest_id, [(0, 1)])


def test_without_its_shards_a_model_is_not_exported(tmp_path: Path, small: Manifest) -> None:
    (tmp_path / "shards" / "blocks" / f"{small.blocks[0].sha256}.safetensors").unlink()
    with pytest.raises(ShardError, match="make the model's shards again"):
        GraphMaker(tmp_path).make(small.manifest_id, [(0, 1)])


def test_the_command_answers_in_one_line(tmp_path: Path, small: Manifest, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["make", "--manifest-id", small.manifest_id, "--cache", str(tmp_path)]
    assert main([*given, "--ranges", "0-1", "1-3"]) == 0
    answer = json.loads(capsys.readouterr().out)
    folder = graphs_folder(tmp_path / "shards", small.manifest_id)
    size = sum(path.stat().st_size for path in folder.iterdir())
    assert answer == {
        "manifest_id": small.manifest_id,
        "path": str(folder),
        "changed": True,
        "graphs": 2,
        "total_bytes": size,
    }
    for wrong in ("3", "1-", "a-b", "0-99"):
        assert main([*given, "--ranges", wrong]) == 1
        error = capsys.readouterr().err
        assert error.startswith("error: ")
        assert error.count("\n") == 1


def test_a_block_that_needs_more_than_what_crosses_is_refused(tmp_path: Path, small: Manifest) -> None:
    """No cut of ours gives such a graph, so that one is made up: the last block adds the images' sum."""
    exported = export_model(small, ShardStore(tmp_path / "shards"))
    count = len(small.blocks)
    total = onnx.helper.make_node("ReduceSum", ["border_0"], ["total"], keepdims=0)
    last = next(node for node in exported.graph.node if f"border_{count}" in node.output)
    last.output[0] = "before"
    exported.graph.node.extend([total, onnx.helper.make_node("Add", ["before", "total"], [f"border_{count}"])])
    assert cut_range(exported, small, 0, count).graph.node
    with pytest.raises(ModelError, match="need border_0, which does not cross point 1"):
        cut_range(exported, small, 1, count)
    odd = msgspec.structs.replace(small, input=msgspec.structs.replace(small.input, dtype="int64"))
    with pytest.raises(ModelError, match="int64 crosses point 0"):
        cut_range(exported, odd, 0, 1)
