"""The exceptions of the analysis.

::

    SplitbedError
    └── AnalysisError             a campaign that is not there, or holds nothing to analyse
"""

from __future__ import annotations

from stage_runtime.errors import SplitbedError


class AnalysisError(SplitbedError):
    """A campaign cannot be found, or there is nothing in it to analyse."""
