"""The command figures: draws figures 1 to 5 of the paper from their formulas."""

from __future__ import annotations

from suite.cli.other_requests import WriteRequest
from suite.theory.figures import FIGURES, FORMATS, draw


def write(request: WriteRequest) -> int:
    """Write every figure in every format to `request.out`. Raises UserError if the folder cannot be written to."""
    from suite.files.output import check_folder, write_file

    check_folder(request.out)
    for number in FIGURES:
        for kind, data in draw(number).items():
            write_file(request.out, f"figure{number}.{kind}", data)
        print(f"wrote {request.out / f'figure{number}'}.{{{','.join(FORMATS)}}}")
    return 0
