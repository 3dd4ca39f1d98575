"""All tables of several grids in one file: `tables.tex`, which pdflatex compiles unchanged, and `tables.md`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from suite.report.render import latex, markdown
from suite.report.render.latex_claims import claims
from suite.report.render.latex_fit import OWN
from suite.report.render.latex_number import PACKAGES, NumberStyle

if TYPE_CHECKING:
    from suite.report.claims.on_the_paper import PrintedVerdict
    from suite.report.document import Document

HEAD = r"""% All tables of a report: pdflatex tables.tex. The files <grid>.tex are for a document of your own.
\documentclass{article}
\usepackage[T1]{fontenc}
\usepackage[utf8]{inputenc}
\usepackage{lmodern,textcomp}
\usepackage[margin=2cm]{geometry}
\renewcommand{\topfraction}{1}\renewcommand{\bottomfraction}{1}\renewcommand{\textfraction}{0}
\raggedbottom
"""


def files(documents: Sequence[Document], printed: Mapping[str, PrintedVerdict], style: NumberStyle) -> dict[str, bytes]:
    """The files by name. A single grid has none.

    `printed` has the verdicts on the published numbers by claim id; `claims-published.md` lists their evidence.
    """
    if len(documents) < 2:
        return {}
    tables = [(document, table) for document in documents for table in document.tables]
    tex = [latex.numbered(table, document.grid, style) for document, table in tables]
    tex += [latex.named(f"{document.tables[0].name} (claims)", text) for document in documents
            for text in claims(document, OWN)]
    md = [markdown.section(table, document.grid) for document, table in tables]
    verdicts = [verdict for document in documents for verdict in document.verdicts]
    md += [markdown.claims(verdicts, printed)] if verdicts else []
    head = HEAD + "\n".join([*PACKAGES[style], "\\begin{document}\n"])
    return {"tables.tex": (head + "\\clearpage\n".join(tex) + "\\end{document}\n").encode(),
            "tables.md": ("# Tables\n\n" + "\n\n".join(md) + "\n").encode(),
            "claims-published.md": markdown.paper_claims(list(printed.values())).encode()}
