"""The look of all figures, and figures as PNG or SVG.

Colours are Okabe and Ito's, which colour-blind people can tell apart; ink is one colour, so that an SVG can follow the
page's own (see :func:`to_svg`). Equal inputs give equal bytes.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK = "#1b2430"
GRID = "#8a94a6"
SKY, BLUE, ORANGE, VERMILLION, GREEN, PURPLE = "#56B4E9", "#0072B2", "#E69F00", "#D55E00", "#009E73", "#CC79A7"
_STYLE: dict[Any, Any] = {
    "font.size": 10.0,
    "font.family": "DejaVu Sans",
    "text.parse_math": False,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": GRID,
    "axes.titlesize": 11.0,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "activelora",
}

_POINTS_PER_INCH = 72
"""What an SVG is measured in."""
Arguments = ParamSpec("Arguments")


def styled(draw: Callable[Arguments, Figure]) -> Callable[Arguments, Figure]:
    """Draw under this module's style without touching the caller's."""

    @wraps(draw)
    def drawn(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Figure:
        from matplotlib import rc_context

        with rc_context(_STYLE):
            return draw(*args, **kwargs)

    return drawn


def to_png(figure: Figure, dpi: int = 144) -> bytes:
    """Return the figure as PNG on white, the same bytes for the same figure."""
    return _saved(figure, dpi, format="png", facecolor="white", metadata={"Software": None})


def to_svg(figure: Figure) -> str:
    """Return the figure as an ``<svg>`` element to put into a page: transparent, in the page's colours."""
    text = _saved(
        figure, _POINTS_PER_INCH, format="svg", transparent=True, metadata={"Date": None, "Creator": None}
    ).decode()
    text = text[text.index("<svg") :].replace("'DejaVu Sans'", "system-ui, sans-serif")
    return text.replace(INK, "currentColor").replace(BLUE.lower(), f"var(--accent, {BLUE})")


def _saved(figure: Figure, dpi: int, **options: Any) -> bytes:
    """Lay a figure out and write it: drawn once, where ``savefig`` draws twice to lay it out."""
    from matplotlib import rc_context

    buffer = io.BytesIO()
    with rc_context(_STYLE), warnings.catch_warnings():
        # Label names in scripts that DejaVu lacks are measured as boxes; in an SVG the browser draws them.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font", category=UserWarning)
        if (layout := figure.get_layout_engine()) is not None:
            figure.set_dpi(dpi)
            layout.execute(figure)
            figure.set_layout_engine("none")
        figure.savefig(buffer, dpi=dpi, **options)
    return buffer.getvalue()


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure of a size in inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def in_percent(*sides: Any) -> None:
    """Write the numbers of axes as percentages."""
    from matplotlib.ticker import FuncFormatter

    for side in sides:
        side.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.3g}%"))


def with_grid(axes: Axes) -> None:
    """Draw a faint grid behind the data."""
    axes.grid(color=GRID, alpha=0.25, linewidth=0.8)
    axes.set_axisbelow(True)
