"""Inputs of a format besides the document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from suite.report.claims.on_the_paper import PrintedVerdict
from suite.report.render.drawing import Drawing
from suite.report.render.latex_number import NumberStyle


@dataclass(frozen=True)
class Extras:
    """The available figures, the verdicts on published numbers by claim id, and the style of numbers in LaTeX."""

    figures: Sequence[Drawing]
    printed: Mapping[str, PrintedVerdict]
    style: NumberStyle = NumberStyle.PLAIN
