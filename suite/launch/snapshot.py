"""The copy of the code that jobs run. It is made at submission, so that later edits do not affect waiting jobs."""

from __future__ import annotations

import compileall
import hashlib
import importlib.util
import os
import py_compile
import secrets
import shutil
import site
import sysconfig
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from suite.config import own, own_data
from suite.config.run_config import RunConfig
from suite.errors import UserError
from suite.files import resources, study
from suite.own import modules
from suite.store import provenance
from suite.store.records import Origin

OURS = ("suite", "datasets")  # the code, and the cards and samples, which are in suite/ in a wheel
LEFT_OUT = {"__pycache__", ".git", ".venv"}


def freeze(store: Path, configs: Iterable[RunConfig], modules: Iterable[str] = ()) -> Path:
    """Copy the suite and the user's modules into the store, unless they are there. Returns the folder of the copy.

    `modules`: further modules to copy. Installed packages are not copied, since jobs use the same interpreter. Raises
    UserError, OSError.
    """
    configs = list(configs)
    sources = dict(_sources(configs, modules))
    parent = _parent(store)
    parent.mkdir(parents=True, exist_ok=True)
    aside = parent / f".{secrets.token_hex(8)}.tmp"
    for name, source in sources.items():
        (aside / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, aside / name)
    for _, home in _cards(configs):
        (aside / study.COPIES.name / _name(home) / study.HOME).write_text(str(home), encoding="utf-8")
    # The name is the hash of the copy, not of the sources: a source may be edited during the copy.
    folder = parent / _digest({name: aside / name for name in sources})
    if folder.is_dir():
        shutil.rmtree(aside)
        return folder
    # Without this, each job would compile everything at the same time. The copy never changes.
    compileall.compile_dir(aside, quiet=2, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
    try:
        aside.rename(folder)
    except OSError:
        shutil.rmtree(aside, ignore_errors=True)
        if not folder.is_dir():  # otherwise another process has just made the same copy
            raise
    return folder


def place(store: Path, configs: Iterable[RunConfig], modules: Iterable[str] = ()) -> Path:
    """Returns the folder in which `freeze` would put a copy of the current code."""
    return _parent(store) / _digest(dict(_sources(configs, modules)))


def _parent(store: Path) -> Path:
    return store.absolute() / "slurm" / "code"


def _digest(sources: Mapping[str, Path]) -> str:
    digest = hashlib.sha256()
    for name in sorted(sources):
        content = hashlib.sha256(sources[name].read_bytes()).hexdigest()
        digest.update(f"{name}\0{content}\n".encode())
    return digest.hexdigest()[:16]


def own_modules(configs: Iterable[RunConfig]) -> list[str]:
    """Returns the modules that these runs name as `module:name`, and the local modules that these import."""
    configs = list(configs)
    of_data = [name for config in configs for name in own_data.functions(config.data, config.task)]
    found = [name.partition(":")[0] for name in [*own.names(configs), *of_data]]
    return list(dict.fromkeys([*found, *(name for module in found for name in modules.closure(module).modules)]))


def origin(store: Path, configs: Iterable[RunConfig]) -> Origin:
    """Returns commit and patch of the suite's and the user's code, for the records of runs. Raises OSError."""
    found = [modules.find(name) for name in own_modules(configs)]
    files = {one.name.partition(".")[0]: one.file for one in found if one is not None and one.file is not None}
    return provenance.with_own(provenance.of_launch(store), files, store)


def _sources(configs: Iterable[RunConfig], modules: Iterable[str]) -> Iterator[tuple[str, Path]]:
    """Yields the name in the copy and the path of each file."""
    configs = list(configs)
    yield from _below(resources.PACKAGE)
    for path, home in _cards(configs):
        yield f"{study.COPIES.name}/{_name(home)}/datasets/{path.name}", path
    if not resources.is_installed():
        yield from _below(resources.folder("datasets"))
    for top in dict.fromkeys(module.partition(".")[0] for module in [*own_modules(configs), *modules]):
        if top not in OURS:
            yield from _files_of(top)


def _cards(configs: Iterable[RunConfig]) -> list[tuple[Path, Path]]:
    """Returns the cards of the user's data in these runs, each with its study."""
    return list(dict.fromkeys(found for config in configs if (found := own_data.card(config.data))))


def _name(home: Path) -> str:
    return hashlib.sha256(str(home).encode()).hexdigest()[:16]


def _files_of(module: str) -> Iterator[tuple[str, Path]]:
    spec = importlib.util.find_spec(module)
    origin = Path(spec.origin) if spec and spec.origin and spec.has_location else None
    if origin is None:
        raise UserError(f"the code of {module!r} cannot be copied for the jobs: it is not in a file", "--executor",
                        "put it into a module, or a package with an __init__.py, in a folder on PYTHONPATH")
    if any(origin.is_relative_to(folder) for folder in _installed()):
        return
    if spec is not None and spec.submodule_search_locations:
        yield from _below(origin.parent)
    else:
        yield origin.name, origin


def _installed() -> set[str]:
    paths = sysconfig.get_paths()
    return {paths["purelib"], paths["platlib"], paths["stdlib"], *site.getsitepackages()}


def _below(folder: Path) -> Iterator[tuple[str, Path]]:
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(set(folders) - LEFT_OUT)
        for name in sorted(files):
            path = Path(parent) / name
            if path.is_file():
                yield str(path.relative_to(folder.parent)), path
