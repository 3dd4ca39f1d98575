"""The versions of the files of a run. An older file is brought up to date when it is read. A newer one is refused and
left as it is: it must not be taken for a damaged one.
"""

from __future__ import annotations

from collections.abc import Callable

from suite.errors import UserError
from suite.files.atomic import Content

SCHEMA = 1
STEPS: dict[int, Callable[[Content], Content]] = {}  # from this version to the next


def migrated(content: Content, where: str) -> Content:
    """The content in the present version; a file without a version has version 1. Raises UserError for a newer one."""
    version = content.get("schema", 1)
    if not isinstance(version, int) or version > SCHEMA:
        raise UserError(f"is of version {version}, and this suite reads versions up to {SCHEMA}", where,
                        "use the suite that wrote it, or a later one")
    for step in range(version, SCHEMA):
        content = STEPS[step](content) | {"schema": step + 1}
    return content
