"""The look of every figure: colours that stay apart for the colour-blind, light and dark pages, reproducible bytes."""

from __future__ import annotations

import io
import warnings
from typing import Any

# Okabe and Ito's colours, which stay apart under the common forms of colour blindness (the two darkest are lighter on
# dark pages); once they are used up they come again with another dash.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F7F7F")
ON_DARK = {"#0072B2": "#3D94DB", "#7F7F7F": "#A0A0A0"}
DASHES = ("-", "--", ":", "-.")
LIGHT = {"text": "#1a1a1a", "grid": "#d9d9d9", "face": "white"}
DARK = {"text": "#e6e6e6", "grid": "#454545", "face": "none"}
BASE = {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.linewidth": 0.5,
        "text.parse_math": False, "svg.fonttype": "path", "svg.hashsalt": "suite", "axes.titlesize": 10,
        "axes.axisbelow": True, "lines.linewidth": 1.5, "pdf.fonttype": 42}
UNDATED = {"svg": "Date", "pdf": "CreationDate"}


def look(place: int, dark: bool = False) -> dict[str, str]:
    """Colour and dash of the series at `place`; 28 of them stay apart."""
    colour = COLOURS[place % len(COLOURS)]
    return {"color": ON_DARK.get(colour, colour) if dark else colour,
            "linestyle": DASHES[place // len(COLOURS) % len(DASHES)]}


def style(theme: dict[str, str], **more: Any) -> Any:
    """A context in which figures have this look: LIGHT or DARK, and matplotlib's settings `more`."""
    from matplotlib import rc_context

    colours = {"text.color": theme["text"], "axes.labelcolor": theme["text"], "axes.edgecolor": theme["text"],
               "xtick.color": theme["text"], "ytick.color": theme["text"], "grid.color": theme["grid"],
               "axes.facecolor": "none", "figure.facecolor": theme["face"]}
    return rc_context(BASE | colours | more)


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
