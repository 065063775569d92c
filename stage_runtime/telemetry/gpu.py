"""The GPU's use, by NVML, where there is one."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, field
from typing import Any

_log = logging.getLogger(__name__)
_MIB = 2**20
_PERIOD_S = 0.1


@dataclass(frozen=True, kw_only=True)
class GpuFigures:
    """Mean utilisation and highest memory in use (by everybody) while sampling."""

    utilisation_percent: float
    memory_mb: float


@dataclass
class GpuSampler:
    """Samples one GPU from ``start`` to ``stop``; without NVML or for ``cpu`` it does nothing."""

    device: str
    _stopped: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None
    _utilisation: list[int] = field(default_factory=list)
    _memory: list[int] = field(default_factory=list)

    def start(self) -> None:
        """Begin, where there is something to sample."""
        if not self.device.startswith("cuda"):
            return
        handle = _handle(self.device)
        if handle is None:
            return
        self._thread = threading.Thread(target=self._sample, args=handle, name="gpu", daemon=True)
        self._thread.start()

    def stop(self) -> GpuFigures | None:
        """End, and give what was seen."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()
        if not self._utilisation:
            return None
        mean = sum(self._utilisation) / len(self._utilisation)
        return GpuFigures(utilisation_percent=mean, memory_mb=max(self._memory) / _MIB)

    def _sample(self, nvml: Any, handle: Any) -> None:
        while True:
            try:
                self._utilisation.append(nvml.nvmlDeviceGetUtilizationRates(handle).gpu)
                self._memory.append(nvml.nvmlDeviceGetMemoryInfo(handle).used)
            except nvml.NVMLError as exc:
                _log.warning("NVML stopped answering: %s", exc)
                return
            if self._stopped.wait(_PERIOD_S):
                return


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
    except pynvml.NVMLError as exc:
        _log.warning("no GPU figures for %s: NVML says %s", device, exc)
        return None
