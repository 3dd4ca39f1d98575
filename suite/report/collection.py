"""All tables of several grids in one file: `tables.tex`, which pdflatex compiles as it is, and `tables.md`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from suite.report import latex, markdown

if TYPE_CHECKING:
    from suite.report.document import Document

HEAD = r"""% All tables of a report: pdflatex tables.tex. The files <grid>.tex are for a document of your own.
\documentclass{article}
\usepackage[T1]{fontenc}
\usepackage[utf8]{inputenc}
\usepackage{lmodern,textcomp,booktabs,graphicx}
\usepackage[margin=2cm]{geometry}
\renewcommand{\topfraction}{1}\renewcommand{\bottomfraction}{1}\renewcommand{\textfraction}{0}
\raggedbottom
\begin{document}
"""


def files(documents: Sequence[Document]) -> dict[str, bytes]:
    """The files by name, with the grids in the order of the numbers in their names; none for a single grid."""
    if len(documents) < 2:
        return {}
    ordered = sorted(documents, key=lambda document: natural(document.grid.name))
    tables = [(document, table) for document in ordered for table in document.tables]
    tex = [latex.numbered(table, document.grid) for document, table in tables]
    md = [markdown.section(table, document.grid) for document, table in tables]
    return {"tables.tex": (HEAD + "\n".join(tex) + "\\end{document}\n").encode(),
            "tables.md": ("# Tables\n\n" + "\n\n".join(md) + "\n").encode()}


def natural(name: str) -> list[tuple[int, int, str]]:
    """A key that sorts table2 before table10."""
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.split(r"(\d+)", name)]
