"""Claims in LaTeX, in tables that fit a page: the verdict and its seeds, the claim, the difference and its test."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from suite.report.claims.outcome import RULES
from suite.report.render.latex_fit import Page, Piece, plain, small
from suite.report.render.latex_table import line
from suite.report.render.latex_text import escape, fold, width

if TYPE_CHECKING:
    from suite.report.claims.outcome import Verdict
    from suite.report.document import Document

SHARES = (0.18, 0.31, 0.42)  # of the width of the page, for the three columns
POINTS, SKIP, APART = 9.0, 11.5, 5.0  # \small, and \addlinespace between claims
Cells = tuple[list[Piece], list[Piece], list[Piece]]


def claims(document: Document, page: Page) -> list[str]:
    """The claims as `table` environments."""
    parts: list[list[Cells]] = [[]]
    used = _caption_height(page, True)
    for made in map(_claim, document.verdicts):
        high = _height(made, page)
        if parts[-1] and used + high > page.height:
            parts.append([])
            used = _caption_height(page, False)
        parts[-1].append(made)
        used += high
    return [_environment(document.stem, part, place) for place, part in enumerate(parts) if part]


def _caption_height(page: Page, first: bool) -> float:
    return 12 * (4 + (width(RULES, 10) // page.width if first else 0))


def _height(made: Cells, page: Page) -> float:
    lines = [sum(len(fold(piece.text, 0.95 * share * page.width, piece.points or POINTS)) for piece in pieces)
             for pieces, share in zip(made, SHARES, strict=True)]
    return max(lines) * SKIP + APART


def _environment(stem: str, rows: Sequence[Cells], place: int) -> str:
    label = "".join(c for c in stem if c.isascii() and (c.isalnum() or c in "._-"))
    label += f"-claims{place + 1 if place else ''}"
    caption = f"Claims. {RULES}" if not place else "Claims, continued."
    columns = "".join(rf"p{{{share}\linewidth}}" for share in SHARES)
    lines = [
        r"\begin{table}[htbp]",
        r"  \centering",
        r"  \setlength{\belowcaptionskip}{6pt}",
        rf"  \caption{{{escape(caption)}}}",
        rf"  \label{{tab:{label}}}",
        r"  \small",
        rf"  \begin{{tabular}}{{@{{}}{columns}@{{}}}}",
        r"    \toprule",
        line(["Verdict, seeds", "Claim", r"Difference [95\,\% CI]"]),
        r"    \midrule",
        "\n    \\addlinespace\n".join(line([_paragraphs(cell, last=cell is row[-1]) for cell in row]) for row in rows),
        r"    \bottomrule",
        r"  \end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _paragraphs(pieces: Sequence[Piece], last: bool) -> str:
    start = r"\raggedright\arraybackslash " if last else r"\raggedright "
    return start + r" \newline ".join(piece.tex for piece in pieces)


def _claim(verdict: Verdict) -> Cells:
    """The cells of a claim. The comparison is named only if there are several."""
    seeds = ""
    if verdict.decisive is not None and verdict.decisive.size:
        seeds = ", ".join(filter(None, ("" if verdict.seeds else verdict.decisive.seeds, verdict.decisive.evaluated)))
    words = ", ".join(filter(None, (verdict.words, seeds)))
    notes = "; ".join(verdict.remarks)
    return [plain(words)], [plain(verdict.claim.text)], [*_found(verdict), *([small(notes)] if notes else [])]


def _found(verdict: Verdict) -> list[Piece]:
    """The estimate with its interval, followed in small type by the test."""
    shown = verdict.decisive
    if shown is None or not shown.size:
        return []
    several = f"{shown.words}: " if len(verdict.parts) > 1 else ""
    name = "" if shown.name == "difference" else f"{shown.name} "
    tested = [f"margin {shown.margin}" if shown.margin else "",
              shown.test_words if shown.tested else "", verdict.p_words]
    more = [verdict.count_words if several else "", ", ".join(filter(None, tested)), verdict.over_examples]
    return [plain(several + name + shown.size + (f" [{shown.interval}]" if shown.interval else "")),
            *(small(text) for text in more if text)]
