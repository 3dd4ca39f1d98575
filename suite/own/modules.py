"""The files of a user's module: its own file, and those of all local modules that it imports.

Local means outside the standard library, installed packages and the suite. The named module and the rest of its package
are identified by the content of their files even if they are installed, and so is a file in site-packages that does not
belong to a package: user code has the same identity before and after it is installed. Everything is read from files and
their syntax trees. Nothing is imported, so planning somebody else's study does not run its code.
"""

from __future__ import annotations

import ast
import importlib.machinery
import importlib.metadata
import importlib.util
import site
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

from suite.own import tree

OURS = "suite"
# Packages that every run uses. Their versions are recorded, but are not part of a run's identity.
EVERYWHERE = frozenset({"torch", "numpy", "scipy"})
Signature = tuple[int, int, int, int]


@dataclass(frozen=True)
class Module:
    """A module that was found: its file (None for a folder without `__init__.py`), and the folders of its submodules
    (None if it is not a package)."""

    name: str
    file: Path | None
    folders: tuple[Path, ...] | None = None

    @property
    def package(self) -> str:
        """The package that its relative imports start from."""
        return self.name if self.folders is not None else self.name.rpartition(".")[0]


@dataclass(frozen=True)
class Closure:
    """A module with all modules that it imports, by name, and the installed packages that these import, by version."""

    modules: dict[str, Module]
    packages: dict[str, str]

    @property
    def files(self) -> dict[str, Path]:
        """The file of each module that has one."""
        return {name: one.file for name, one in self.modules.items() if one.file is not None}


def closure(module: str) -> Closure:
    """All that `module` imports, transitively. Empty if it is not found, or is part of Python or of `EVERYWHERE`."""
    asked = module.partition(".")[0]
    found: dict[str, Module] = {}
    packages: dict[str, str] = {}
    left = [module]
    while left:
        for one in _chain(left.pop()):
            if one.name in found:
                continue
            top = one.name.partition(".")[0]
            place = _place(one)
            version = _version(top) if place == "installed" and top not in EVERYWHERE and top != asked else ""
            if version:
                packages[top] = version
            if version or place == "standard" or top in EVERYWHERE and place == "installed":
                break
            found[one.name] = one
            left += sorted(imports(one))
    return Closure(dict(sorted(found.items())), dict(sorted(packages.items())))


def find(name: str) -> Module | None:
    """The module of that name. None if there is no such file."""
    chain = list(_chain(name))
    return chain[-1] if chain and chain[-1].name == name else None


def is_there(name: str) -> bool:
    """Whether there is a module of that name, in a file, in Python or in the suite."""
    return find(name) is not None or name in sys.builtin_module_names or name.partition(".")[0] == OURS


def doubles(top: str) -> list[Path]:
    """The files with the name of a top-level module in different folders of the import path, if several are local.

    Python takes the first one.
    """
    found = [_in_folder(top, Path(entry or ".")) for entry in dict.fromkeys(sys.path)]
    files = [one.file.resolve() for one in found if one is not None and one.file is not None
             and _place(one) == "local"]
    return list(dict.fromkeys(files)) if len(set(files)) > 1 else []


def is_local(name: str) -> bool:
    """Whether the module of that name is the user's and is not installed."""
    found = find(name)
    return found is not None and _place(found) == "local"


def is_own(name: str) -> bool:
    """Whether the module of that name is the user's, or may be: it is installed, but not one of EVERYWHERE."""
    found = find(name)
    return found is not None and (_place(found) == "local" or _place(found) == "installed"
                                  and name.partition(".")[0] not in EVERYWHERE)


def imports(module: Module) -> frozenset[str]:
    """The names of all modules that a module may import. Names after `from x import` count: they may be modules."""
    return read(module).imports


@dataclass(frozen=True)
class Text:
    """A file's content: digest, syntax tree (None if it cannot be parsed), and imports."""

    digest: str
    tree: ast.Module | None
    imports: frozenset[str]


def read(module: Module) -> Text:
    """The content of a module's file. A file that is not valid Python is identified by its bytes. Raises OSError."""
    if module.file is None:
        return Text("", None, frozenset())
    return _read(module.file, signature(module.file), module.package)


def signature(path: Path) -> Signature:
    """A value that changes when the file is written. Raises OSError."""
    about = path.stat()
    return about.st_ino, about.st_size, about.st_mtime_ns, about.st_ctime_ns


@lru_cache(maxsize=1024)
def _read(path: Path, _: Signature, package: str) -> Text:
    content = path.read_bytes()
    try:
        if path.suffix != ".py":
            raise ValueError("not Python")
        parsed = ast.parse(content)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return Text(tree.digest(ast.Constant(content)), None, frozenset())
    return Text(tree.digest(parsed), parsed, frozenset(_imports(parsed, package)))


def _imports(parsed: ast.Module, package: str) -> Iterator[str]:
    for node in ast.walk(parsed):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = absolute(node, package)
            if base:
                yield base
                yield from (f"{base}.{alias.name}" for alias in node.names if alias.name != "*")
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            name = node.args[0].value
            if called in ("import_module", "__import__") and isinstance(name, str) and not name.startswith("."):
                yield name


def absolute(node: ast.ImportFrom, package: str) -> str:
    """The absolute name of x in `from …x import`. "" if the dots lead out of the package."""
    if not node.level:
        return node.module or ""
    parts = package.split(".") if package else []
    if node.level - 1 >= len(parts):
        return ""
    return ".".join([*parts[:len(parts) - (node.level - 1)], *filter(None, [node.module])])


def _chain(name: str) -> Iterator[Module]:
    """The packages that contain a module, outermost first, then the module itself. Ends where a file is missing."""
    top, *rest = name.split(".")
    found = _top(top)
    if found is None:
        return
    yield found
    for part in rest:
        inner = [_in_folder(part, folder, found.name) for folder in found.folders or ()]
        found = next((one for one in inner if one is not None), None)
        if found is None:
            return
        yield found


def _top(name: str) -> Module | None:
    if name in sys.builtin_module_names or name == OURS or not name.isidentifier():
        return None
    spread: list[Path] = []  # the folders of a package without `__init__.py`
    for entry in sys.path:
        one = _in_folder(name, Path(entry or "."))
        if one is not None and one.file is not None:
            return one
        spread += one.folders or () if one is not None else ()
    if spread:
        return Module(name, None, tuple(spread))
    return _of_finders(name)


def _in_folder(name: str, folder: Path, parent: str = "") -> Module | None:
    """The module in a folder, in Python's order: a package, a file, or a folder without `__init__.py`."""
    dotted = f"{parent}.{name}" if parent else name
    suffixes = [*importlib.machinery.EXTENSION_SUFFIXES, *importlib.machinery.SOURCE_SUFFIXES]
    for suffix in suffixes:
        if (folder / name / f"__init__{suffix}").is_file():
            return Module(dotted, folder / name / f"__init__{suffix}", (folder / name,))
    for suffix in suffixes:
        if (folder / f"{name}{suffix}").is_file():
            return Module(dotted, folder / f"{name}{suffix}")
    return Module(dotted, None, (folder / name,)) if (folder / name).is_dir() else None


def _of_finders(name: str) -> Module | None:
    """A top-level module that is not on the import path, such as an editable install."""
    try:
        spec = importlib.util.find_spec(name)  # for a top-level module this runs none of its code
    except (ImportError, ValueError, AttributeError):
        return None
    if spec is None or not spec.origin or not spec.has_location or not Path(spec.origin).is_file():
        return None
    inside = spec.submodule_search_locations
    return Module(name, Path(spec.origin), None if inside is None else tuple(map(Path, inside)))


def _place(module: Module) -> str:
    """`local`, `installed` or `standard`."""
    return _kind((module.file or (module.folders or (Path(),))[0]).absolute())


def is_local_file(path: Path) -> bool:
    """Whether a file is outside the standard library and installed packages."""
    return _kind(path.absolute()) == "local"


def _kind(path: Path) -> str:
    if {"site-packages", "dist-packages"} & set(path.parts) or any(map(path.is_relative_to, _installed())):
        return "installed"
    return "standard" if any(map(path.is_relative_to, _standard())) else "local"


@cache
def _installed() -> tuple[str, ...]:
    paths = sysconfig.get_paths()
    return tuple({paths["purelib"], paths["platlib"], *site.getsitepackages(), site.getusersitepackages()})


@cache
def _standard() -> tuple[str, ...]:
    paths = sysconfig.get_paths()
    return paths["stdlib"], paths["platstdlib"]


@lru_cache(maxsize=1024)
def _version(top: str) -> str:
    """The version of an installed package, by its import name. "" if unknown."""
    try:
        return importlib.metadata.version(top)
    except importlib.metadata.PackageNotFoundError:
        names = importlib.metadata.packages_distributions().get(top, [])
        return ",".join(sorted({importlib.metadata.version(name) for name in names}))
