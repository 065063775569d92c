"""A drawn figure as the report takes it."""

from __future__ import annotations

import base64
import dataclasses


@dataclasses.dataclass(frozen=True, kw_only=True)
class Picture:
    """One drawn figure as SVG, and what it shows for those who cannot see it."""

    title: str
    description: str
    svg: bytes

    @property
    def data_uri(self) -> str:
        """The picture as an address that holds it whole."""
        return "data:image/svg+xml;base64," + base64.b64encode(self.svg).decode("ascii")
