"""The command schema: writes the JSON Schema of grid files."""

from __future__ import annotations

from suite.cli.other_requests import WriteRequest
from suite.grid.schema import text


def write(request: WriteRequest) -> int:
    """Write the schema to the file `request.out`."""
    request.out.write_text(text(), encoding="utf-8")
    print(f"wrote {request.out}")
    return 0
