"""A report's tables in LaTeX (booktabs), ready for pdflatex; every name and number is escaped."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from suite.report.against import comparison
from suite.report.claims.outcome import RULES, equals
from suite.report.render import notes
from suite.report.render.sheet import Sheet, Side, Top, sheet
from suite.report.tables.table import Cell, Table

if TYPE_CHECKING:
    from suite.grid.model import Grid
    from suite.report.claims.on_the_paper import PrintedVerdict
    from suite.report.claims.outcome import Verdict
    from suite.report.document import Document
    from suite.report.render.drawing import Drawing

PREAMBLE = r"""% In the preamble of your document:
%   \usepackage[T1]{fontenc}
%   \usepackage[utf8]{inputenc}  % needed before the LaTeX of 2018 only
%   \usepackage{array,booktabs}
"""
PAGE = 12  # claims on a page
WIDE = 3  # columns that fit the page side by side, whatever their headings
ASCII = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "_": r"\_", "%": r"\%",
    "^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': r"{\char34}", "'": r"\textquotesingle{}", "`": r"\textasciigrave{}",
    "[": "{[}", "]": "{]}", "*": "{*}",  # after \\ a star or a bracket would be a part of it
}
MATHS = {
    "±": r"\pm", "×": r"\times", "÷": r"\div", "·": r"\cdot", "−": "-", "≤": r"\leq", "≥": r"\geq", "≠": r"\neq",
    "≈": r"\approx", "∞": r"\infty", "→": r"\rightarrow", "←": r"\leftarrow", "↑": r"\uparrow", "↓": r"\downarrow",
    "∈": r"\in", "√": r"\surd", "²": "^{2}", "³": "^{3}", "¹": "^{1}", "½": r"\frac{1}{2}", "°": r"^{\circ}",
    "α": r"\alpha", "β": r"\beta", "γ": r"\gamma", "δ": r"\delta", "ε": r"\varepsilon", "θ": r"\theta",
    "λ": r"\lambda", "μ": r"\mu", "µ": r"\mu", "π": r"\pi", "ρ": r"\rho", "σ": r"\sigma", "τ": r"\tau", "φ": r"\varphi",
    "ω": r"\omega", "Γ": r"\Gamma", "Δ": r"\Delta", "Θ": r"\Theta", "Λ": r"\Lambda", "Π": r"\Pi", "Σ": r"\Sigma",
    "Φ": r"\Phi", "Ω": r"\Omega",
}
WORDS = {"–": "--", "—": "---", "…": r"\ldots{}", "\u00a0": "~", "ß": r"\ss{}", "æ": r"\ae{}", "Æ": r"\AE{}",
         "ø": r"\o{}", "Ø": r"\O{}", "ł": r"\l{}", "Ł": r"\L{}", "ı": r"\i{}"}
ACCENTS = {"\u0300": r"\`", "\u0301": r"\'", "\u0302": r"\^", "\u0303": r"\~", "\u0308": r'\"', "\u030a": r"\r",
           "\u030c": r"\v", "\u0327": r"\c", "\u0304": r"\=", "\u0306": r"\u", "\u0307": r"\.", "\u030b": r"\H"}


def render(document: Document, drawn: Sequence[Drawing] = (),
           printed: Mapping[str, PrintedVerdict] | None = None) -> str:
    """Each table of a report, and its claims, as a `table` environment with caption and `\\label{tab:<name>}`.

    Figures and the verdicts on the published numbers have no place in it.
    """
    texts = [text for table in document.tables for text in _environments(table, document.grid)]
    fitted = "%   \\usepackage{graphicx}\n" if any(r"\resizebox" in text for text in texts) else ""
    return PREAMBLE + fitted + "\n".join([*texts, *claims(document)])


def claims(document: Document) -> list[str]:
    """The claims in tables that fit a page: claim, difference with its interval and test, verdict with its seeds."""
    starts = range(0, len(document.verdicts), PAGE)
    return [_claims(document, document.verdicts[i:i + PAGE], i // PAGE) for i in starts]


def _claims(document: Document, verdicts: Sequence[Verdict], place: int) -> str:
    label = "".join(c for c in document.stem if c.isascii() and (c.isalnum() or c in "._-"))
    label += f"-claims{place + 1 if place else ''}"
    caption = f"Claims. {RULES}" if not place else "Claims, continued."
    lines = [
        r"\begin{table}[htbp]",
        r"  \centering",
        r"  \setlength{\belowcaptionskip}{6pt}",
        rf"  \caption{{{escape(caption)}}}",
        rf"  \label{{tab:{label}}}",
        r"  \small",
        r"  \begin{tabular}{@{}p{0.40\linewidth}p{0.36\linewidth}p{0.18\linewidth}@{}}",
        r"    \toprule",
        _line(["Claim", r"Difference [95\,\% CI]", "Verdict, seeds"]),
        r"    \midrule",
        *(_line(_claim(verdict)) for verdict in verdicts),
        r"    \bottomrule",
        r"  \end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _claim(verdict: Verdict) -> list[str]:
    """The cells of a claim: what was compared is named if there are several comparisons."""
    shown = verdict.telling
    found, seeds, evaluated = [], "", ""
    if shown is not None and shown.size:
        several = f"{shown.words}: " if len(verdict.parts) > 1 else ""
        interval = f" [{shown.interval}]" if shown.interval else ""
        tested = f"{shown.test_words}, p {equals(verdict.p)}" if shown.tested and verdict.p is not None else ""
        found = [f"{several}{shown.size}{interval}", tested, verdict.over_examples]
        seeds, evaluated = shown.seeds, shown.evaluated
    words = ", ".join(filter(None, (verdict.words, "" if verdict.seeds else seeds, evaluated)))
    notes = "; ".join(filter(None, (verdict.declared, *verdict.notes)))
    return [rf"\raggedright {escape(verdict.claim.text)}",
            r"\raggedright " + r" \newline ".join([escape(one) if i == 0 else _small(escape(one))
                                                  for i, one in enumerate(filter(None, found))]),
            r"\raggedright\arraybackslash " + escape(words) + (r" \newline " + _small(escape(notes)) if notes else "")]


def numbered(table: Table, grid: Grid) -> str:
    """The table as a document of its own calls it: Table 3a is its number, whatever stands before it."""
    name = escape(table.name.replace("-", " "))
    first, *compared = _environments(table, grid)
    number = r"\renewcommand{\thetable}{%s}" + "\n"
    return number % name + first + "".join(number % f"{name} (compared)" + text for text in compared)


def _environments(table: Table, grid: Grid) -> list[str]:
    """The table, and where any cell is held against the paper a second one with the published numbers."""
    label = "".join(c for c in table.name if c.isascii() and (c.isalnum() or c in "._-"))
    wide = len(table.rows if table.transpose else table.heads) > WIDE
    text = _environment(" ".join(map(escape, notes.caption(table, grid, "latex"))), label,
                        sheet(table, lambda cell: _cell(cell, wide)))
    if not comparison.compared(table):
        return [text]
    told = [f"{remark}." for remark in comparison.remarks(table)]
    found = comparison.lines(table)
    return [text, *(_compared(table, column, lines, label, i, told if i + 1 == len(found) else [])
                    for i, (column, lines) in enumerate(found.items()))]


def _compared(table: Table, column: str, lines: Sequence[comparison.Line], label: str, place: int,
              told: Sequence[str]) -> str:
    """A column of the table against the paper's: published number, difference with its interval, verdict."""
    caption = f"Table {table.name.replace('-', ' ')}, {column}, against the paper."
    sides = tuple(Side(0, "", one.row, "", tuple(map(escape, (one.published, one.difference, one.verdict))))
                  for one in lines)
    tops = tuple(Top("", name, "") for name in ("published", "ours − published [95 % CI]", "verdict"))
    return _environment(escape(f"{caption} {comparison.rule(table)}" if not place else caption),
                        f"{label}-compared{place + 1 if place else ''}", Sheet(table.axis, tops, sides), told)


def _environment(caption: str, label: str, made: Sheet[str], below: Sequence[str] = ()) -> str:
    width = len(made.tops)
    fitted = r"  \resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%"  # what is still too wide shrinks
    lines = [
        r"\begin{table}[htbp]",
        r"  \centering",
        r"  \setlength{\belowcaptionskip}{6pt}",
        rf"  \caption{{{caption}}}",
        rf"  \label{{tab:{label}}}",
        *([r"  \small" if width <= 3 * WIDE else r"  \scriptsize", r"  \setlength{\tabcolsep}{3pt}", fitted]
          if width > WIDE else []),
        rf"  \begin{{tabular}}{{l{'c' * width}}}",
        r"    \toprule",
        *_spans(made),
        _line([escape(made.corner), *(escape(top.label) for top in made.tops)]),
        *([_line(["", *(_small(_stacked(map(escape, top.heading.split(" ", 1)), width > WIDE)) for top in made.tops)])]
          if any(top.heading for top in made.tops) else []),
        r"    \midrule",
        *(line for i, side in enumerate(made.sides) for line in _side(made, i, side)),
        r"    \bottomrule",
        r"  \end{tabular}" + ("}" if width > WIDE else ""),
        *([rf"  \par\smallskip\footnotesize\raggedright {' '.join(map(escape, below))}"] if below else []),
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _spans(made: Sheet[str]) -> list[str]:
    """The line of headings over neighbouring columns, with rules below them; none where no column has one."""
    if not any(top.group for top in made.tops):
        return []
    cells, rules, start = [""], [], 2
    for group, count in made.spans():
        cells.append(rf"\multicolumn{{{count}}}{{c}}{{{escape(group)}}}")
        rules += [rf"\cmidrule(lr){{{start}-{start + count - 1}}}"] if group else []
        start += count
    return [_line(cells), f"    {''.join(rules)}"]


def _side(made: Sheet[str], i: int, side: Side[str]) -> list[str]:
    """A row, after the rule and the heading of its block where it is the block's first."""
    first = i == 0 or made.sides[i - 1].block != side.block
    lines = [r"    \midrule"] if first and i else []
    if first and side.group:
        lines.append(rf"    \multicolumn{{{len(made.tops) + 1}}}{{l}}{{\textit{{{escape(side.group)}}}}} \\")
    source = rf" {{\footnotesize {escape(side.source)}}}" if side.source else ""
    return [*lines, _line([escape(side.label) + source, *side.cells])]


def _line(cells: list[str]) -> str:
    return f"    {' & '.join(cells)} \\\\"


def _stacked(parts: Iterable[str], wide: bool) -> str:
    """In two lines in a wide table, which would be shrunk too far otherwise."""
    told = list(parts)
    lines = r"\begin{tabular}[t]{@{}c@{}}" + r"\\".join(told) + r"\end{tabular}"
    return lines if wide and len(told) > 1 else " ".join(told)


def _small(text: str) -> str:
    return rf"{{\footnotesize {text}}}"


def _cell(cell: Cell, wide: bool) -> str:
    if not cell.number:
        return _small(escape(cell.rest))
    mark = {1: r"\textbf{%s}", 2: r"\underline{%s}"}.get(cell.rank, "%s")
    spread, paren, count = cell.rest.partition(" (")
    counted = [_small(escape(paren.strip() + count))] if paren else []
    return _stacked([mark % escape(cell.number) + escape(spread), *counted], wide)


def escape(text: str) -> str:
    """Text in which LaTeX sees no command, whatever it holds; signs that pdflatex has no font for become U+XXXX."""
    plain = "".join(c if c.isprintable() else " " for c in unicodedata.normalize("NFC", text))
    marked = "".join(_escape(c) for c in plain.replace("--", "-\0-").replace("--", "-\0-"))
    return marked.replace("\0", "{}")  # two hyphens would become a dash


def _escape(char: str) -> str:
    if char in ASCII:
        return ASCII[char]
    if char.isascii():
        return char
    if char in MATHS:
        return rf"\ensuremath{{{MATHS[char]}}}"
    if char in WORDS:
        return WORDS[char]
    base, *accents = list(unicodedata.normalize("NFD", char))
    if base.isascii() and base.isalpha() and len(accents) == 1 and accents[0] in ACCENTS:
        base = {"i": r"\i", "j": r"\j"}.get(base, base)  # the accent stands in the place of the dot
        return rf"{ACCENTS[accents[0]]}{{{base}}}"
    return rf"\texttt{{U+{ord(char):04X}}}"
