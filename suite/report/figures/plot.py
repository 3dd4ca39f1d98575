"""The look of every figure: colours that stay apart for the colour-blind, light and dark pages, reproducible bytes."""

from __future__ import annotations

import io
import warnings
from typing import Any

# Okabe and Ito's colours, which stay apart under the common forms of colour blindness; once they are used up they come
# again with another dash.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F7F7F")
DASHES = ("-", "--", ":", "-.")
TEXT, LINE, PAPER = "#1a1a1a", "#d9d9d9", "#ffffff"
ON_DARK = {TEXT: "#e6e6e6", LINE: "#454545", PAPER: "none", COLOURS[0]: "#3D94DB", COLOURS[6]: "#A0A0A0"}
BASE = {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.linewidth": 0.5,
        "text.parse_math": False, "svg.fonttype": "path", "svg.hashsalt": "suite", "axes.titlesize": 10,
        "axes.axisbelow": True, "lines.linewidth": 1.5, "pdf.fonttype": 42, "text.color": TEXT, "axes.labelcolor": TEXT,
        "axes.edgecolor": TEXT, "xtick.color": TEXT, "ytick.color": TEXT, "grid.color": LINE,
        "axes.facecolor": "none", "figure.facecolor": PAPER}
UNDATED = {"svg": "Date", "pdf": "CreationDate"}


def look(place: int) -> dict[str, str]:
    """Colour and dash of the series at `place`; 28 of them stay apart."""
    return {"color": COLOURS[place % len(COLOURS)], "linestyle": DASHES[place // len(COLOURS) % len(DASHES)]}


def style(**more: Any) -> Any:
    """A context in which figures have this look; `more` are settings of matplotlib."""
    from matplotlib import rc_context

    return rc_context(BASE | more)


def for_both_pages(svg: bytes) -> bytes:
    """A figure that follows the page that it stands on: on a dark one its colours change."""
    rules = "".join(f'[style*="{kind}: {light.lower()}"]{{{kind}:{dark}!important}}'
                    for light, dark in ON_DARK.items() for kind in ("fill", "stroke"))
    return svg.replace(b"<defs>", f"<style>@media(prefers-color-scheme:dark){{{rules}}}</style><defs>".encode(), 1)


def canvas(width: float, height: float) -> Any:
    """An empty figure of that size in inches; to be made, and filled, within `style`."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def saved(figure: Any, kind: str, title: str) -> bytes:
    """The figure as `png`, `svg` or `pdf`: the same bytes each time."""
    from matplotlib import rc_context

    stream = io.BytesIO()
    plain = title.encode("latin-1", "replace").decode("latin-1")  # all that a PNG's text may hold
    metadata = {"Title": title if kind == "svg" else plain} | ({UNDATED[kind]: None} if kind in UNDATED else {})
    with rc_context(BASE), warnings.catch_warnings():
        # A name in a script that the font lacks shows as boxes; that is no reason to fail or to fill the terminal.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(stream, format=kind, metadata=metadata, dpi=150)
    return stream.getvalue()


def legend_label(name: str) -> str:
    """matplotlib leaves labels with a leading underscore out of legends; a space of no width keeps them in."""
    return f"\N{ZERO WIDTH SPACE}{name}" if name.startswith("_") else name
