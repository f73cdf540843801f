"""The comparison as one self-contained page, with no script and nothing from the network."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from typing import Any

from activelora.comparison import table
from activelora.comparison.plots import curves, differences
from activelora.evaluation.headline import Headline
from activelora.evaluation.headline_values import shown


def render_page(document: Mapping[str, Any], command: str = "") -> str:
    """Return the page. The same document gives the same page.

    Args:
        document: The comparison.
        command: What repeats it.
    """
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    from activelora.tracking.figures import to_svg

    figures = {"curves": curves(document)}
    if any(method["tests"] is not None for method in document["methods"]):
        figures["differences"] = differences(document)
    headline = Headline(**document["headline"])
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = resources.files("activelora.comparison").joinpath("page.html").read_text(encoding="utf-8")
    return environment.from_string(template).render(
        document=document,
        description=table.description(document),
        columns=table.columns(document),
        rows=table.rows(document),
        target=shown(headline, document["target"]),
        # matplotlib escapes names in its SVG.
        plots={name: Markup(to_svg(figure)) for name, figure in figures.items()},  # noqa: S704
        bands="range over seeds" if len(document["methods"]) <= 4 else "range over seeds, for the control only",
        command=command,
    )
