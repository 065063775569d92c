"""Sections of a document: each replaced by itself."""

from __future__ import annotations

from pathlib import Path

from bench.document import put_figure, put_section


def test_sections_come_in_the_order_first_written_and_are_replaced_alone(tmp_path: Path) -> None:
    path = tmp_path / "docs" / "performance.md"
    put_section(path, "one", "## One\n\nolder words\n")
    put_section(path, "two", "## Two")
    first = path.read_text()
    assert first.startswith("# Performance")
    assert first.index("## One") < first.index("## Two")
    put_section(path, "one", "## One again")
    second = path.read_text()
    assert second.index("## One again") < second.index("## Two")
    assert "older words" not in second
    put_section(path, "one", "## One\n\nolder words")
    assert path.read_text() == first


def test_what_a_person_wrote_around_a_section_stays(tmp_path: Path) -> None:
    path = tmp_path / "performance.md"
    path.write_text("# Mine\n\n<!-- one: begin -->\nold\n<!-- one: end -->\n\nmy own words\n")
    put_section(path, "one", "new")
    assert path.read_text() == "# Mine\n\n<!-- one: begin -->\nnew\n<!-- one: end -->\n\nmy own words\n"


def test_figures_lie_in_a_folder_of_the_documents_name(tmp_path: Path) -> None:
    path = tmp_path / "docs" / "performance.md"
    link = put_figure(path, "batch.svg", b"<svg/>")
    assert link == "performance/batch.svg"
    assert (path.parent / link).read_bytes() == b"<svg/>"
