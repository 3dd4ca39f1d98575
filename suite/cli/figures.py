"""The command figures: figures 1 to 5 of the paper, computed anew."""

from __future__ import annotations

import argparse

from suite.theory.figures import FIGURES, FORMATS, draw


def write(args: argparse.Namespace) -> int:
    """The verb: every figure in every format below `args.out`. Raises UserError where nothing can be written there."""
    from suite.files.output import write_file

    for number in FIGURES:
        for kind, data in draw(number).items():
            write_file(args.out, f"figure{number}.{kind}", data)
        print(f"wrote {args.out / f'figure{number}'}.{{{','.join(FORMATS)}}}")
    return 0
