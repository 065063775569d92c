"""Outputs are held against the unsplit model's: the figures, and what makes a run invalid."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from stage_runtime.errors import FormatError, ShardError
from stage_runtime.references.places import TENSOR, reference_path
from stage_runtime.stage.reference import Agreement, read_reference
from stage_runtime.wire.frames import TensorHeader
from tests.stage_runtime.stage.chain import IMAGES, Chain, expected_output

LOGITS = torch.tensor([[1.0, -4.0, 2.0], [0.0, 3.0, 2.9], [8.0, 0.0, 0.0]])


def write_reference(three: Chain, outputs: torch.Tensor | None = None) -> None:
    outputs = expected_output(three.images, IMAGES, [0]) if outputs is None else outputs
    path = reference_path(Path(three.devices[0].config.inputs_dir), "inputs", three.manifest.manifest_id)
    save_file({TENSOR: outputs}, path)


def test_the_error_is_the_largest_over_the_largest_output_of_its_batch() -> None:
    agreement = Agreement(LOGITS, exact=False)
    assert agreement.top1_agreement is None
    agreement.note(0, LOGITS[:2] + torch.tensor([[0.0, 0.0, 0.5], [0.0, 0.0, 0.0]]))
    assert agreement.relative_error == pytest.approx(0.5 / 4)
    assert agreement.top1_agreement == 1.0
    # images 2 and 0, since after the last one comes the first; one of the four is now another class
    agreement.note(1, torch.stack([LOGITS[2], LOGITS[0] + torch.tensor([1.5, 0.0, 0.0])]))
    assert agreement.relative_error == pytest.approx(1.5 / 8)
    assert agreement.top1_agreement == 0.75


@pytest.mark.parametrize("exact", [True, False])
def test_only_what_rounds_may_change_the_output(*, exact: bool) -> None:
    agreement = Agreement(LOGITS, exact=exact)
    agreement.note(0, LOGITS * (1 + 0.9e-4))
    assert agreement.objection() is None
    agreement.note(0, LOGITS * (1 + 1.2e-4))
    assert (agreement.objection() is None) != exact


def test_a_run_says_how_far_it_is_from_the_unsplit_model(three: Chain) -> None:
    write_reference(three)
    exact = three.run(batches=5)
    assert (exact.status, exact.relative_error, exact.top1_agreement) == ("ok", 0.0, 1.0)
    rounded = three.run(batches=5, codec="int8")
    assert rounded.status == "ok", rounded.reason
    assert rounded.relative_error is not None
    assert 0 < rounded.relative_error < 0.01


def test_without_a_reference_nothing_is_claimed(three: Chain) -> None:
    measured = three.run(batches=5)
    assert (measured.status, measured.relative_error, measured.top1_agreement) == ("ok", None, None)


@pytest.mark.parametrize("cut", [(), (1, 2)])
def test_other_outputs_than_the_unsplit_models_are_invalid_with_their_figures(
    three: Chain, cut: tuple[int, ...]
) -> None:
    write_reference(three, expected_output(three.images, IMAGES, [0]).flip(0))
    measured = three.run(cut, batches=5)
    assert measured.status == "invalid"
    assert "batch 0: the output differs from the unsplit model's by" in measured.reason
    assert measured.relative_error is not None
    assert measured.relative_error > 0.1
    assert measured.top1_agreement == 0.0
    assert three.run(cut, batches=5, codec="lossless").status == "invalid"
    # nothing crosses a link where there is one stage, so a codec excuses nothing
    assert three.run(cut, batches=5, codec="fp16").status == ("ok" if cut else "invalid")


def test_a_reference_that_cannot_be_read_or_is_of_another_model_is_refused(three: Chain, tmp_path: Path) -> None:
    cell = three.cell()
    path = reference_path(tmp_path, cell.inputs_id, cell.manifest_id)
    save_file({"something": LOGITS}, path)
    with pytest.raises(ShardError, match="holds no reference outputs"):
        read_reference(tmp_path, cell, TensorHeader("float32", (2, 3)))
    save_file({TENSOR: LOGITS}, path)
    with pytest.raises(FormatError, match=r"float32 \(3, 3\), the model gives float32 \(n, 10\)"):
        read_reference(tmp_path, cell, TensorHeader("float32", (2, 10)))
