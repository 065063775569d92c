from __future__ import annotations

from stage_runtime.telemetry.gpu import GpuSampler
from stage_runtime.telemetry.process import ProcessorMark, memory_figures


def test_processor_use_is_a_percentage_of_one_core() -> None:
    begin = ProcessorMark(at_ns=1_000, used_ns=0)
    end = ProcessorMark(at_ns=3_000, used_ns=3_000)
    assert begin.percent_until(end) == 150.0
    assert begin.percent_until(begin) == 0.0


def test_marks_follow_the_processor_time_of_this_process() -> None:
    begin = ProcessorMark.now()
    sum(range(200_000))
    end = ProcessorMark.now()
    assert end.used_ns > begin.used_ns
    assert end.at_ns > begin.at_ns


def test_memory_figures_make_sense_together() -> None:
    figures = memory_figures()
    assert 0 < figures.percent < 100
    assert figures.rss_mb > 1
    assert figures.available_mb > 0


def test_a_processor_has_no_gpu_figures() -> None:
    sampler = GpuSampler("cpu")
    sampler.start()
    assert sampler.stop() is None
