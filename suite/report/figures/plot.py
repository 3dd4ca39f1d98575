"""The style of all figures: colour-blind safe colours, light and dark pages, reproducible bytes."""

from __future__ import annotations

import io
import logging
import os
import warnings
from functools import cache
from pathlib import Path
from typing import Any

# The colours of Okabe and Ito, which are distinguishable with the common forms of colour blindness. After the last one
# they repeat with another dash.
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
    """Colour and dash of the series at index `place`; 28 of them are different."""
    return {"color": COLOURS[place % len(COLOURS)], "linestyle": DASHES[place // len(COLOURS) % len(DASHES)]}


@cache
def library() -> Any:
    """matplotlib, imported without the user's settings, so that figures are the same for everybody.

    A notebook may set MPLBACKEND to a module that is not installed. The home folder may be missing or read-only;
    matplotlib then uses a temporary folder, which it removes at the end.
    """
    own = {"MPLBACKEND": "agg", "MATPLOTLIBRC": os.devnull} | ({} if _has_home() else {"MPLCONFIGDIR": os.devnull})
    before = {name: os.environ.get(name) for name in own}
    os.environ.update(own)
    log = logging.getLogger("matplotlib")
    level = log.level
    log.setLevel(logging.ERROR)  # hide warnings about its folder and about the user's settings
    try:
        import matplotlib
        import matplotlib.figure  # reads the fonts
    finally:
        log.setLevel(level)
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
    return matplotlib


def _has_home() -> bool:
    try:
        return Path.home().is_dir()
    except RuntimeError:  # a user id without a name, and no HOME
        return False


def style(**more: Any) -> Any:
    """A context in which figures have this style. `more` are settings of matplotlib; all others have their defaults."""
    defaults = {name: value for name, value in library().rcParamsDefault.items() if not name.startswith("backend")}
    return library().rc_context(defaults | BASE | more)


def for_both_pages(svg: bytes) -> bytes:
    """The figure with colours that change on a dark page."""
    rules = "".join(f'[style*="{kind}: {light.lower()}"]{{{kind}:{dark}!important}}'
                    for light, dark in ON_DARK.items() for kind in ("fill", "stroke"))
    return svg.replace(b"<defs>", f"<style>@media(prefers-color-scheme:dark){{{rules}}}</style><defs>".encode(), 1)


def canvas(width: float, height: float) -> Any:
    """An empty figure of that size in inches. Make and fill it within `style`."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def saved(figure: Any, kind: str, title: str) -> bytes:
    """The figure as `png`, `svg` or `pdf`, with the same bytes each time."""
    stream = io.BytesIO()
    plain = title.encode("latin-1", "replace").decode("latin-1")  # the characters that a PNG's text allows
    metadata = {"Title": title if kind == "svg" else plain} | ({UNDATED[kind]: None} if kind in UNDATED else {})
    with style(), warnings.catch_warnings():
        # A name in a script that the font lacks is shown as boxes; this must not fail or fill the terminal.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(stream, format=kind, metadata=metadata, dpi=150)
    return stream.getvalue()


def legend_label(name: str) -> str:
    """The label for a legend. matplotlib omits labels with a leading underscore; a zero-width space prevents this."""
    return f"\N{ZERO WIDTH SPACE}{name}" if name.startswith("_") else name
