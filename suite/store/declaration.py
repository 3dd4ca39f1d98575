"""What was declared before runs were added: a family of claims, as found by the first `--decide`.

`<store>/declarations/<family>.json` is written once and never changed. A later `--decide` that finds a different family
leaves a second file, with the number of the look. `merge` also copies declarations. If the target has its own
declaration of a family, the copy is kept beside it, as `<name>-<digest>.json`.
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
    """The `digest` of a family, and the number of `looks` before it was first declared.

    changed: the first look at which `--decide` found a different family; None if it never did. In a merged store,
    `looks` is the largest of all declarations, and `several` is True if their families differ.
    """

    digest: str
    looks: int
    changed: int | None = None
    several: bool = False


def declare(store: Store, grid: str, family: str, digest: str, looks: int) -> None:
    """Write the declaration of a family, or if it is declared, note a change. Raises UserError if this fails."""
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
    """The declaration of a family. None if it is not declared. Raises UserError if it cannot be read."""
    folder, stem = store.root / FOLDER, _stem(grid, family)
    path = folder / f"{stem}.json"
    try:
        content = atomic.read_sealed(path)
        looks, changes, digests = [int(content["looks"])], [], {str(content["digest"])}
        for path in sorted(folder.glob(f"{stem}-*.json")):
            other = atomic.read_sealed(path)
            if path.name.startswith(f"{stem}-changed"):
                changes.append(int(other["looks"]))
            else:
                looks.append(int(other["looks"]))
                digests.add(str(other["digest"]))
        return Declaration(str(content["digest"]), max(looks), min(changes, default=None), len(digests) > 1)
    except FileNotFoundError:
        return None
    except (atomic.Corrupt, KeyError, ValueError) as error:
        raise UserError(f"this declaration cannot be read: {error}", str(path),
                        "restore it: without it, what was declared cannot be known") from None


def copy(source: Path, target: Path) -> None:
    """Copy the declarations of the store `source` to `target`, beside its own. Raises OSError."""
    folder = target / FOLDER
    for path in sorted((source / FOLDER).glob("*.json")):
        with suppress(atomic.Corrupt):
            atomic.read_sealed(path)
            content = path.read_bytes()
            if path.is_symlink():
                continue
            folder.mkdir(parents=True, exist_ok=True)
            if not atomic.create(folder / path.name, content, atomic.nobody()) and \
                    (folder / path.name).read_bytes() != content:
                beside = f"{path.stem}-{hashlib.sha256(content).hexdigest()[:8]}.json"
                atomic.create(folder / beside, content, atomic.nobody())


def _stem(grid: str, family: str) -> str:
    return hashlib.sha256(f"{grid}\n{family}".encode()).hexdigest()[:16]
