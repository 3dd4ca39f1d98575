"""The figures of README and documentation, drawn from kept results, for light and dark pages. `make pictures`"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import docs_kernels

from suite.grid.expand import load_grid
from suite.report.added import with_added
from suite.report.document import Document, document_of
from suite.report.figures import scatter
from suite.report.figures.curves import Panel
from suite.report.figures.plot import ON_DARK, PAPER, TEXT, canvas, look, saved, style
from suite.store.store import Store

ROOT = Path(__file__).parents[1]
PICTURES = ROOT / "docs/pictures"
WORDS = {"supported": "#009E73", "undecided": "#B07300", "contradicted": "#D55E00"}
LARGEST = 150_000  # bytes of a picture


def kept(name: str, grid: str) -> Document:
    """The report document of a kept result. `grid`: the path of its grid."""
    store = Store(ROOT / "results" / name / "store")
    made, = with_added([load_grid(ROOT / grid)], store)
    return document_of(made, store)


def quickstart() -> Any:
    """The table of the quickstart with its verdicts, above its learning curves."""
    document = kept("quickstart-decided", "results/quickstart-decided/quickstart.yaml")
    with style(**{"svg.fonttype": "none", "font.family": "sans-serif"}):
        made = canvas(8.6, 5.2)
        above, below = made.subfigures(2, 1, height_ratios=(1.0, 1.25))
        _table(above.subplots(), document)
        axes = below.subplots(1, len(document.panels))
        for one, panel in zip(axes, document.panels, strict=True):
            _curves(one, panel)
        handles, labels = axes[0].get_legend_handles_labels()
        below.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    return made


def _table(axes: Any, document: Document) -> None:
    """The rows of the table on the left, claims with their verdicts on the right."""
    table = document.tables[0]
    axes.set_axis_off()
    axes.set(xlim=(0, 100), ylim=(len(table.rows) + 0.6, -1.6))
    for x, head in zip((23, 36), table.heads, strict=True):
        axes.text(x, -0.7, head.label, ha="center", weight="bold")
    axes.text(0, -0.7, "accuracy, %", weight="bold")
    axes.text(46, -0.7, "claims", weight="bold")
    for y, (row, cells) in enumerate(zip(table.rows, table.cells, strict=True)):
        axes.text(0, y + 0.3, row)
        for x, cell, column in zip((23, 36), cells, zip(*table.cells, strict=True), strict=True):
            best = round(cell.mean, 1) == max(round(one.mean, 1) for one in column)  # by shown digits, as in the report
            axes.text(x, y + 0.3, f"{cell.mean:.1f} ± {cell.std:.1f}", ha="center", weight="bold" if best else "normal")
    for y, verdict in enumerate(document.verdicts):
        claim = verdict.claim
        axes.text(46, y + 0.3, verdict.words, color=WORDS[str(verdict.verdict)], weight="bold")
        axes.text(67, y + 0.3, f"{claim.left[0]} is worse than {claim.right[0]} on {claim.columns[0]}")
    axes.axhline(-0.35, color=TEXT, linewidth=0.8)


def _curves(axes: Any, panel: Panel) -> None:
    for place, line in enumerate(panel.lines):
        shown = look(place)
        axes.plot(line.epochs, line.mean, label=line.label, **shown)
        axes.fill_between(line.epochs, line.mean - line.std, line.mean + line.std, color=shown["color"], alpha=0.15,
                          linewidth=0)
    axes.set_title(panel.title)
    axes.set(xlabel=panel.x, ylabel=panel.metric)
    axes.set_xticks(panel.lines[0].epochs)


def first_epoch() -> Any:
    """Our means after the first epoch against the published ones."""
    made = scatter.figure(kept("table3b-scifar-epoch1", "grids/first-epoch.yaml").tables[0])
    made.set_size_inches(4.4, 4.8)
    return made


def both(figure: Any, name: str, title: str) -> dict[str, bytes]:
    """A figure without background, with the colours of light pages and of dark pages."""
    with style(**{"svg.fonttype": "none"}):
        figure.patch.set_visible(False)
        for part in getattr(figure, "subfigs", ()):
            part.patch.set_visible(False)
    light = saved(figure, "svg", title)
    dark = light
    for before, after in ON_DARK.items():
        if before != PAPER:
            dark = dark.replace(before.lower().encode(), after.lower().encode())
    return {f"{name}-light.svg": light, f"{name}-dark.svg": dark}


def pictures() -> dict[str, bytes]:
    """All figures, by file name. The bytes are the same each time."""
    return (both(quickstart(), "quickstart", "The quickstart: table, verdicts, learning curves")
            | both(first_epoch(), "first-epoch", "Ours against published, first epoch of sequential CIFAR")
            | both(docs_kernels.picture(), "kernels", "Time and error of the kernels against the length"))


def main() -> None:
    """Write the figures."""
    for name, content in pictures().items():
        assert len(content) <= LARGEST, (name, len(content))
        (PICTURES / name).write_bytes(content)
        print(f"{PICTURES / name}: {len(content):,} bytes")


if __name__ == "__main__":
    main()
