"""The templates' environment, shared by every page that this project writes."""

from __future__ import annotations

import jinja2

from analysis.numbers import number


def page_environment(*packages: str) -> jinja2.Environment:
    """Return an environment with the templates of ``packages`` and the report's own (its style sheet)."""
    environment = jinja2.Environment(
        loader=jinja2.ChoiceLoader([jinja2.PackageLoader(name) for name in (*packages, "analysis.report")]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = number
    return environment
