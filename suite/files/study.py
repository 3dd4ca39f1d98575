"""The studies of this process: folders with a user's grids, methods, data sets, and report definitions.

The study of a grid is the folder of its file, or the folder above if that one is called `grids`. Its modules
(`my_methods.py`), cards (`datasets/*.yaml`) and `reports/` are added to those of the suite.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterable
from pathlib import Path

from suite.files import resources

COPIES = resources.PACKAGE.parent / "s4d-studies"  # copies for cluster jobs, beside the code that the jobs run
HOME = "home"  # file in such a copy, with the path of the original study
_folders = dict.fromkeys(sorted(path.parent for path in COPIES.glob(f"*/{HOME}")))  # a set that keeps the order


def of_grid(path: Path) -> Path:
    """The study that a grid belongs to."""
    folder = path.absolute().parent
    return folder.parent if folder.name == "grids" else folder


def with_examples(path: Path) -> list[Path]:
    """The study of a grid. The suite's own grids may also name methods in `examples/`, so this is added for them."""
    found = of_grid(path)
    return [found] if is_own(found) else [found, resources.folder("examples")]


def is_own(folder: Path) -> bool:
    """Whether a folder is a user's study, not that of the suite's own grids."""
    return folder.resolve() != resources.root().resolve()


def add(folders: Iterable[Path]) -> bool:
    """Make the modules, cards and reports of these studies known to this process. Returns whether a study is new."""
    before, found = len(_folders), [Path(folder) for folder in folders]
    _folders.update(dict.fromkeys(filter(is_own, found)))
    find_modules(found)
    return len(_folders) > before


def find_modules(folders: Iterable[Path]) -> None:
    """Append these studies to the import path. A module of a study never hides an installed one."""
    for folder in folders:
        if str(folder) not in sys.path and folder != resources.IN_WHEEL:
            sys.path.append(str(folder))


def home(folder: Path) -> Path:
    """The folder of a study: the folder itself or, if it is a copy for cluster jobs, the original."""
    note = folder / HOME
    return Path(note.read_text(encoding="utf-8")) if folder.parent == COPIES and note.is_file() else folder


def folders() -> tuple[Path, ...]:
    """The known studies, in the order in which they were added."""
    return tuple(_folders)


def hidden(module: str, study: Path) -> str:
    """The file that `import` finds instead of a module of this study. "" if it finds the study's own."""
    top = module.partition(".")[0]
    places = [folder / name for folder in (study, study / "grids") for name in (f"{top}.py", top)]
    own = [path for path in places if path.exists()]
    if not own:
        return ""
    there = sys.modules.get(top)
    spec = there.__spec__ if there is not None else importlib.util.find_spec(top)
    origin = Path(spec.origin).resolve() if spec is not None and spec.origin and spec.has_location else None
    is_own = origin is None or any(origin.is_relative_to(path.resolve()) for path in own)
    return "" if is_own else str(origin)


def clear() -> None:
    """Forget all studies; for tests."""
    for folder in _folders:
        if str(folder) in sys.path:
            sys.path.remove(str(folder))
    _folders.clear()
