"""The GPU's use, by NVML, where there is one."""

from __future__ import annotations

import itertools
import logging
import threading
import time
from dataclasses import dataclass, field
from typing import Any

_log = logging.getLogger(__name__)
_MIB = 2**20
# NVML itself averages utilisation over a sixth of a second to a second.
_PERIOD_S = 0.25
# Temperature and the reasons for slowing down change slowly.
_SLOW_EVERY = 8
_SLOWDOWNS = {
    0x08: "GPU slowed down",
    0x20: "GPU too hot",
    0x40: "GPU much too hot",
    0x80: "GPU short of power",
}


@dataclass(frozen=True, kw_only=True)
class GpuFigures:
    """Over the time of sampling: mean utilisation, highest memory in use (by everybody), energy, heat.

    ``throttled`` names what slowed the GPU down; ``sampler_ns`` is the processor time that sampling took.
    """

    utilisation_percent: float
    memory_mb: float
    energy_j: float | None
    temperature_c: float | None
    throttled: tuple[str, ...]
    sampler_ns: int


@dataclass
class _Samples:
    """What the sampling thread has seen."""

    utilisation: list[int] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)
    power: list[tuple[int, int]] = field(default_factory=list)  # (ns, mW)
    temperature: list[int] = field(default_factory=list)
    slowdowns: int = 0
    sampler_ns: int = 0


class GpuSampler:
    """Samples one GPU from ``start`` to ``stop``; without NVML or for ``cpu`` it does nothing."""

    def __init__(self, device: str) -> None:
        found = _handle(device) if device.startswith("cuda") else None
        self._nvml: Any = found[0] if found else None
        self._gpu: Any = found[1] if found else None
        self._samples = _Samples()
        self._energy_mj: int | None = None
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin, where there is something to sample."""
        if self._nvml is None:
            return
        self._energy_mj = self._counted_energy()
        self._thread = threading.Thread(target=self._sample, name="gpu", daemon=True)
        self._thread.start()

    def stop(self) -> GpuFigures | None:
        """End, and give what was seen."""
        self._stopped.set()
        if self._thread is None:
            return None
        self._thread.join()
        seen = self._samples
        if not seen.memory:
            return None
        return GpuFigures(
            utilisation_percent=sum(seen.utilisation) / len(seen.utilisation),
            memory_mb=max(seen.memory) / _MIB,
            energy_j=self._energy(),
            temperature_c=float(max(seen.temperature)) if seen.temperature else None,
            throttled=tuple(what for bit, what in _SLOWDOWNS.items() if seen.slowdowns & bit),
            sampler_ns=seen.sampler_ns,
        )

    def _energy(self) -> float | None:
        """Give joules: by the GPU's own counter, else by integrating its power over the samples."""
        end = self._counted_energy()
        if end is not None and self._energy_mj is not None:
            return (end - self._energy_mj) / 1e3
        pairs = list(itertools.pairwise(self._samples.power))
        if not pairs:
            return None
        return sum((later - at) * (first + second) / 2 for (at, first), (later, second) in pairs) / 1e12

    def _sample(self) -> None:
        """Sample until stopped, and once more then."""
        begin = time.thread_time_ns()
        try:
            for number in itertools.count():
                last = self._stopped.is_set()
                self._take(slow=last or number % _SLOW_EVERY == 0)
                if last:
                    return
                self._stopped.wait(_PERIOD_S)
        except self._nvml.NVMLError as exc:
            _log.warning("NVML stopped answering: %s", exc)
        finally:
            self._samples.sampler_ns = time.thread_time_ns() - begin

    def _take(self, *, slow: bool) -> None:
        nvml, gpu, seen = self._nvml, self._gpu, self._samples
        seen.utilisation.append(nvml.nvmlDeviceGetUtilizationRates(gpu).gpu)
        seen.memory.append(nvml.nvmlDeviceGetMemoryInfo(gpu).used)
        if self._energy_mj is None:
            power = self._ask("nvmlDeviceGetPowerUsage")
            if power is not None:
                seen.power.append((time.perf_counter_ns(), power))
        if slow:
            temperature = self._ask("nvmlDeviceGetTemperature", nvml.NVML_TEMPERATURE_GPU)
            if temperature is not None:
                seen.temperature.append(temperature)
            seen.slowdowns |= self._ask("nvmlDeviceGetCurrentClocksThrottleReasons") or 0

    def _counted_energy(self) -> int | None:
        """Read the energy that the GPU has used since its driver was loaded, mJ; older ones do not count it."""
        return self._ask("nvmlDeviceGetTotalEnergyConsumption")

    def _ask(self, name: str, *arguments: Any) -> int | None:
        """Ask for what not every GPU has."""
        try:
            return int(getattr(self._nvml, name)(self._gpu, *arguments))
        except self._nvml.NVMLError:
            return None


def _handle(device: str) -> tuple[Any, Any] | None:
    """Give the NVML module and the handle of torch's device, matched by PCI address; None without NVML."""
    import torch  # noqa: PLC0415  (only where there is a GPU to ask about)

    try:
        import pynvml  # noqa: PLC0415  (nvidia-ml-py is optional on devices without a GPU)

        pynvml.nvmlInit()
        properties: Any = torch.cuda.get_device_properties(torch.device(device))
        bus = f"{properties.pci_domain_id:08x}:{properties.pci_bus_id:02x}:{properties.pci_device_id:02x}.0"
        return pynvml, pynvml.nvmlDeviceGetHandleByPciBusId(bus)
    except ImportError:
        return None
    except (pynvml.NVMLError, AttributeError) as exc:  # an older torch does not tell the PCI address
        _log.warning("no GPU figures for %s: %s", device, exc)
        return None
