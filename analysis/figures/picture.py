"""A drawn figure as the report takes it."""

from __future__ import annotations

import dataclasses
from urllib.parse import quote


@dataclasses.dataclass(frozen=True, kw_only=True)
class Picture:
    """One drawn figure as SVG, and what it shows for those who cannot see it."""

    title: str
    description: str
    svg: bytes

    @property
    def data_uri(self) -> str:
        """The picture as an address that holds it whole, for an attribute in double quotes.

        Percent-encoded: of SVG, base64 would make a third more.
        """
        # its attributes come to stand in single quotes, which need no encoding; those in texts are written out
        text = self.svg.decode().replace("'", "&#39;").replace('"', "'")
        return "data:image/svg+xml," + quote(text, safe=" <>/:;=,.'(){}!*+-_")
