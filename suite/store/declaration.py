"""What was declared before runs were added: a family of claims, as the first `--decide` found it.

`<store>/declarations/<family>.json` is written once and never changed. A later `--decide` that finds another family
leaves a second file, with the look at which it was seen.
"""

from __future__ import annotations

import hashlib
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from suite.errors import UserError
from suite.files import atomic
from suite.store.folder import check_writable
from suite.store.store import Store

FOLDER = "declarations"


@dataclass(frozen=True)
class Declaration:
    """The `digest` of a family, and how many `looks` there had been when it was first declared.

    `changed` is the first look at which `--decide` found another family; None if it never did.
    """

    digest: str
    looks: int
    changed: int | None = None


def declare(store: Store, grid: str, family: str, digest: str, looks: int) -> None:
    """Keep the declaration of a family, unless there is one; note a change of it. Raises UserError."""
    check_writable(store.root)
    folder = store.root / FOLDER
    first, changed = (folder / f"{_stem(grid, family)}{end}.json" for end in ("", "-changed"))
    try:
        known = read(store, grid, family)
        path = first if known is None else changed
        if known is not None and (known.digest == digest or known.changed is not None):
            return
        folder.mkdir(parents=True, exist_ok=True)
        atomic.create(path, atomic.seal({"grid": grid, "family": family, "digest": digest, "looks": looks,
                                         "when": time.strftime("%Y-%m-%d %H:%M:%S %z")}), atomic.nobody())
    except OSError as error:
        raise atomic.explain(error) or error from None


def read(store: Store, grid: str, family: str) -> Declaration | None:
    """The declaration of a family; None if there is none. Raises UserError if it cannot be read."""
    first, changed = (store.root / FOLDER / f"{_stem(grid, family)}{end}.json" for end in ("", "-changed"))
    try:
        content = atomic.read_sealed(first)
        later = atomic.read_sealed(changed) if changed.exists() else None
        return Declaration(str(content["digest"]), int(content["looks"]), int(later["looks"]) if later else None)
    except FileNotFoundError:
        return None
    except (atomic.Corrupt, KeyError, ValueError) as error:
        raise UserError(f"this declaration cannot be read: {error}", str(first),
                        "restore it; without it nobody can tell what was declared") from None


def copy(source: Path, target: Path) -> None:
    """Copy the declarations of another store that are not here. Raises OSError."""
    for path in sorted((source / FOLDER).glob("*.json")):
        with suppress(atomic.Corrupt):
            atomic.read_sealed(path)
            if not path.is_symlink() and not (target / FOLDER / path.name).exists():
                (target / FOLDER).mkdir(parents=True, exist_ok=True)
                atomic.create(target / FOLDER / path.name, path.read_bytes(), atomic.nobody())


def _stem(grid: str, family: str) -> str:
    return hashlib.sha256(f"{grid}\n{family}".encode()).hexdigest()[:16]
