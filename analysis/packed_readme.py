"""The README.md of a packed campaign: how it was made, and how all beside it is made again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_TEXT = """\
# A campaign as it was measured

Written by `python -m analysis.pack`; nothing here is edited by hand.

It was made by

```console
$ {command}
```

with commit `{commit}` of this project, Python {python}, {packages}; begun {time}.
Paths in the command are shortened to their last part. Campaigns go on when their command is given again, so the journal
may be the work of several such commands: this was the last.

| what | in this campaign |
|---|---|
{table}

| file | what |
|---|---|
| `journal.jsonl.gz` | {runs} runs, a line each; METHODOLOGY.md defines the columns |
| `campaign.json` `provenance/` | options, versions, hardware, what the links were read back to do |

`make shipped` makes the report, its figures and the page of verdicts again from these.
"""


def describe_campaign(record: Mapping[str, Any], runs: int) -> str:
    """Write the README from a ``campaign.json`` and the number of lines of its journal."""
    control = record.get("control_node") or {}
    packages = (control.get("packages") or {}).items()
    table = {
        **{f"device `{name}`": _values(device) for name, device in (record.get("devices") or {}).items()},
        **{f"chain `{name}`": " → ".join(chain) for name, chain in (record.get("chains") or {}).items()},
        **{f"network `{name}`": _values(network) for name, network in (record.get("networks") or {}).items()},
    }
    return _TEXT.format(
        command=" ".join(record.get("command") or ["(not recorded)"]),
        commit=(control.get("git") or {}).get("commit") or "unknown",
        python=control.get("python") or "unknown",
        packages=", ".join(f"{name} {version}" for name, version in packages if version) or "packages unknown",
        time=control.get("time") or "at a time unknown",
        table="\n".join(f"| {what} | {text} |" for what, text in table.items()),
        runs=runs,
    )


def _values(content: Mapping[str, Any]) -> str:
    """Write a device or a network in one line; nested directions in brackets."""
    parts = []
    for key, value in content.items():
        if isinstance(value, Mapping):
            parts.append(f"{key} ({_values(value)})")
        elif value not in (None, [], ""):
            parts.append(f"{key} {value}")
    return ", ".join(parts) or "nothing recorded"
