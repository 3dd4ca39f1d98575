"""The versions of a run's files. An older file is converted when it is read. A newer one is an error, and is left as it
is: it must not be mistaken for a damaged one.
"""

from __future__ import annotations

from collections.abc import Callable

from suite.errors import UserError
from suite.files.atomic import Content

SCHEMA = 1
STEPS: dict[int, Callable[[Content], Content]] = {}  # from this version to the next


def migrated(content: Content, where: str) -> Content:
    """The content in the current version. A file without a version has version 1. Raises UserError for a newer one."""
    version = content.get("schema", 1)
    if not isinstance(version, int) or version > SCHEMA:
        raise UserError(f"has schema version {version}; this release of the suite reads up to {SCHEMA}", where,
                        "use the release that wrote it, or a later one")
    for step in range(version, SCHEMA):
        content = STEPS[step](content) | {"schema": step + 1}
    return content
