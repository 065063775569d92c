"""What a run's figures are, of instants that were made up."""

from __future__ import annotations

import statistics

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stage_runtime.formats.cell import Cell
from stage_runtime.formats.stage_config import StageConfig
from stage_runtime.stage.figures import measurement
from stage_runtime.stage.percentiles import percentile
from stage_runtime.telemetry.figures import TelemetryFigures
from stage_runtime.wire.messages import Figures, HopReport, Instants, PingTrain, StageReport
from tests.stage_runtime.stage.chain import made_up_manifest
from tests.stage_runtime.stage.processes import make_cell

MS = 1_000_000
TELEMETRY = TelemetryFigures(cpu_percent=50.0, rss_mb=100.0, memory_percent=10.0, available_memory_mb=900.0)


def a_cell(stages: int, batches: int, warmup: int) -> Cell:
    configs = [
        StageConfig(
            device=f"dev{number}",
            data_address="127.0.0.1",
            port=1,
            control_socket="",
            shards_dir="",
            inputs_dir="",
            secret_file="",
            log_file="",
            lease_file="",
        )
        for number in range(1, stages + 1)
    ]
    return make_cell(configs, made_up_manifest((1,)), range(1, stages), batches=batches, warmup=warmup, batch=4)


def report(begins: list[int], ahead: int, compute: list[int], machine: str = "") -> StageReport:
    """Make a stage that has each batch at ``begins`` of the true time and computes 1 ms later; ns."""
    instants = {
        "first_byte": begins,
        "received": [begin + MS for begin in begins],
        "started": [begin + 2 * MS for begin in begins],
        "computed": [begin + 2 * MS + each for begin, each in zip(begins, compute, strict=True)],
        "send_started": [begin + 3 * MS + each for begin, each in zip(begins, compute, strict=True)],
        "sent": [begin + 4 * MS + each for begin, each in zip(begins, compute, strict=True)],
    }
    shifted = {name: tuple(instant + ahead for instant in each) for name, each in instants.items()}
    return StageReport(
        accelerator="cpu",
        threads=1,
        load_ms=3.0,
        engine="eager",
        instants=Instants(**shifted),
        telemetry=TELEMETRY,
        alone_ms=(1.0, 9.0, 2.0),
        alone_cpu_ms=(0.5, 0.25, 0.25),
        machine=machine,
        cores=(0, 1),
    )


def hop(ahead: int, uncertainty: int = 0, drift: float = 0.0, begin: int = 0) -> HopReport:
    """Make a hop whose trains were at ``begin`` of the sender's clock, and 10 s later."""

    def train(after: int) -> PingTrain:
        return PingTrain(
            at_ns=begin + after,
            offset_ns=ahead + round(drift * after),
            uncertainty_ns=uncertainty,
            round_trip_ns=2 * uncertainty,
        )

    return HopReport(frame_bytes=4000, raw_bytes=4096, codec="none", before=train(0), after=train(10**10))


def three_stages(batches: int, first_computes: list[int]) -> tuple[Figures, list[int]]:
    """Make three stages with a batch each second, 10 ms of link between them, clocks hours apart."""
    begins = [number * 10**9 for number in range(batches)]
    twenty = [20 * MS] * batches
    second = [begin + 14 * MS + each for begin, each in zip(begins, first_computes, strict=True)]
    third = [begin + 34 * MS for begin in second]
    stages = (
        report(begins, 0, first_computes),
        report(second, 10**13, twenty),
        report(third, -(10**13), twenty),
    )
    back = [begin + 34 * MS for begin in third]
    return Figures(stages=stages, hops=(hop(10**13, 2 * MS), hop(-2 * 10**13, 3 * MS, begin=10**13))), back


def test_latency_crosses_the_clocks_and_response_does_not() -> None:
    figures, back = three_stages(8, [50 * MS] * 8)
    measured = measurement(a_cell(3, 6, 2), figures, back)
    assert measured.latency_ms == pytest.approx(13 + 50 + 34 + 2 + 20)
    assert measured.response_ms == pytest.approx(13 + 50 + 34 + 34)
    assert measured.latency_uncertainty_ms == pytest.approx(5.0)
    assert [hop.transfer_ms for hop in measured.hops] == pytest.approx([12.0, 12.0])
    assert [hop.offset_ms for hop in measured.hops] == pytest.approx([1e7, -2e7])
    assert [hop.drift_ppm for hop in measured.hops] == [None, None]
    assert [stage.compute_ms for stage in measured.stages] == [50.0, 20.0, 20.0]
    assert measured.warnings == ()


def test_a_slow_beginning_is_discarded_everywhere_and_kept() -> None:
    figures, back = three_stages(10, [50 * MS, 200 * MS, 150 * MS] + [50 * MS] * 7)
    measured = measurement(a_cell(3, 9, 1), figures, back)
    assert measured.discarded == 2
    assert len(measured.batch_response_ms) == len(measured.batch_latency_ms) == 7
    assert measured.warmup_response_ms == pytest.approx((131, 281, 231))
    assert measured.response_p99_ms == measured.response_ms == pytest.approx(131)
    assert measured.stages[0].compute_ms == 50.0
    assert measured.throughput_ips == pytest.approx(4.0)


def test_any_figure_can_be_had_again_from_the_samples() -> None:
    figures, back = three_stages(10, [50 * MS, 200 * MS] + [(50 + number) * MS for number in range(8)])
    measured = measurement(a_cell(3, 9, 1), figures, back)
    first, last = measured.samples[0], measured.samples[-1]
    skip = 1 + last.discarded
    latencies = [
        (computed - ahead - taken) / MS
        for computed, ahead, taken in zip(last.computed_ns, last.offset_ns, first.received_ns, strict=True)
    ][skip:]
    assert latencies == pytest.approx(list(measured.batch_latency_ms))
    assert statistics.median(latencies) == measured.latency_ms
    assert [len(each.sent_ns) for each in measured.samples] == [10, 10, 10]
    assert (first.back_ns, measured.samples[1].back_ns) == (tuple(back), ())


def test_each_batch_has_the_offset_of_its_own_instant() -> None:
    drift = 200e-6
    begins = [number * 10**9 for number in range(9)]
    second = [begin + 64 * MS for begin in begins]
    drifted = report([round(begin * (1 + drift)) for begin in second], 5 * MS, [20 * MS] * 9)
    figures = Figures(stages=(report(begins, 0, [50 * MS] * 9), drifted), hops=(hop(5 * MS, 50_000, drift),))
    measured = measurement(a_cell(2, 8, 1), figures, [begin + 200 * MS for begin in begins])
    assert measured.batch_latency_ms == pytest.approx([85.0] * 8, abs=0.01)
    assert measured.hops[0].drift_ppm == pytest.approx(200, rel=1e-3)
    # in the middle of the measured batches, the second to the ninth
    assert measured.hops[0].offset_ms == pytest.approx(5 + 0.2 * 4.553, abs=0.001)


def test_uncertain_clocks_are_warned_of() -> None:
    figures, back = three_stages(8, [50 * MS] * 8)
    unsure = msgspec.structs.replace(figures, hops=(hop(10**13, 40 * MS), figures.hops[1]))
    assert "known to within 43.0 ms" in measurement(a_cell(3, 8, 0), unsure, back).warnings[0]
    before, after = hop(10**13).before, hop(10**13 + 10**10).after
    jumped = msgspec.structs.replace(
        figures, hops=(HopReport(frame_bytes=1, raw_bytes=1, codec="none", before=before, after=after), figures.hops[1])
    )
    assert "dev1 and dev2 moved apart" in measurement(a_cell(3, 8, 0), jumped, back).warnings[0]


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50), st.floats(0, 100))
def test_percentiles_are_numpys(values: list[float], share: float) -> None:
    assert percentile(values, share) == pytest.approx(float(np.percentile(values, share)), rel=1e-9, abs=1e-6)
