"""The command schema: writes the JSON Schema of grid files."""

from __future__ import annotations

import argparse

from suite.grid.schema import text


def write(args: argparse.Namespace) -> int:
    """Writes the schema to the file that `args.out` names."""
    args.out.write_text(text(), encoding="utf-8")
    print(f"wrote {args.out}")
    return 0
