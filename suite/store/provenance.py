"""What a run was computed with: code, packages, machine, data. Needs neither torch nor NumPy.

`of_launch` asks git, once for all runs that start together; the rest is cheap enough for each attempt.
`provenance.json` has the environment of the run, `mixed` (what changed between attempts), and a list of attempts.
"""

from __future__ import annotations

import hashlib
import platform
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from suite import machine
from suite.files import atomic
from suite.files.outer import OuterError, call
from suite.store.records import AttemptRecord, Code, Facts, Origin

TEXT = ("*.py", "*.yaml", "*.yml", "*.toml", "*.txt", "*.md", "*.j2", "*.cpp", "*.cu", "*.sh", "Makefile")
GIT = ("git", "--no-optional-locks", "-c", "core.fsmonitor=false")  # regardless of the user's configuration
PLAIN_DIFF = ("--no-ext-diff", "--no-textconv", "--no-color", "--src-prefix=a/", "--dst-prefix=b/")
GIT_S = 60.0  # longest time of a git command
EXACT = ("device", "threads", "torch", "numpy", "kernel_backend", "passes", "compile", "data", "stack")  # affect bits


def of_launch(root: Path) -> Origin:
    """Commit and command of this launch. If the working tree is dirty, its patch is written to `<root>/patches/`.

    `git.error` is the reason, if the commit is not known.
    """
    return Origin(git=of_code(Path(__file__).resolve().parent, root), command=sys.argv[:])


def with_own(launch: Origin, modules: Mapping[str, Path], root: Path) -> Origin:
    """The launch with the commit and patch of each repository of the user's code, by top-level module.

    `modules` are the files of these modules. Raises OSError if a patch cannot be written.
    """
    own = {name: of_code(path.parent, root, path.name) for name, path in modules.items()}
    return launch.model_copy(update={"own_code": own}) if own else launch


def environment(threads: int, device: str, kernel_backend: str, compiled: str | bool) -> Facts:
    """All that can affect the bits of a run, and the versions of all packages. `device` is the device's model."""
    return {"device": device, "threads": threads, "kernel_backend": kernel_backend, "compile": compiled,
            "python": platform.python_version(), **machine.versions(), "cpu": machine.cpu(),
            "system": platform.platform()}


def differences(first: Facts, now: Facts) -> list[str]:
    """Differences that may change the bits, as `threads: 1, then 2`."""
    return [f"{key}: {first.get(key)}, then {now.get(key)}" for key in EXACT if first.get(key) != now.get(key)]


def code(attempts: Sequence[AttemptRecord]) -> str:
    """The code of all attempts at a run, in one line: commits, each with the patch of its dirty tree."""
    versions = []
    for git in (attempt.git or Code() for attempt in attempts):
        patch = f" + {git.patch}" if git.patch else ""
        versions.append(f"{git.commit or 'no commit'}{patch}")
    return ", then ".join(dict.fromkeys(versions))


def of_code(code: Path, root: Path, file: str = Path(__file__).name) -> Code:
    """The commit of the code in a folder, and its difference from the working tree, as a patch below `root`.

    `file` is a file of the code that the repository must not ignore. Raises OSError if the patch cannot be written.
    """
    nothing = Code(commit=None, dirty=None, patch=None, error="")
    try:
        top = Path(_run(code, "rev-parse", "--show-toplevel").strip())
        if not _run(code, "ls-files", "--cached", "--others", "--exclude-standard", "--", file):
            # The surrounding repository ignores this folder.
            return nothing.model_copy(update={"error": "the code is not in a git repository"})
        commit = _run(code, "rev-list", "--max-count=1", "--all").strip() and _run(code, "rev-parse", "HEAD").strip()
        files = _files(top, root)
        changed = _run(top, "status", "--porcelain", "--untracked-files=all", "--", *files)
        patch = _patch(top, commit, files) if changed else b""
    except OuterError as error:
        return nothing.model_copy(update={"error": str(error)})
    where = None
    if patch:
        name = f"{hashlib.sha256(patch).hexdigest()[:16]}.patch"
        if not (root / "patches" / name).exists():
            (root / "patches").mkdir(parents=True, exist_ok=True)
            atomic.create(root / "patches" / name, patch, atomic.nobody())
        where = f"patches/{name}"
    return Code(commit=commit or None, dirty=bool(patch), patch=where, error="")


def _files(top: Path, root: Path) -> list[str]:
    """Git's patterns for the code in a repository: its text files, except those of a store inside it."""
    inside = root.resolve().is_relative_to(top) and root.resolve() != top
    return [*TEXT, *([f":(top,exclude,literal){root.resolve().relative_to(top)}"] if inside else [])]


def _patch(top: Path, commit: str, patterns: Sequence[str]) -> bytes:
    """The difference between the commit and the files of the working tree that match, including new ones.

    It is made with a separate index and object store, so that the repository is not changed.
    """
    with tempfile.TemporaryDirectory() as scratch:
        objects = _run(top, "rev-parse", "--git-path", "objects").strip()
        env = {"GIT_INDEX_FILE": f"{scratch}/index", "GIT_OBJECT_DIRECTORY": scratch,
               "GIT_ALTERNATE_OBJECT_DIRECTORIES": str((top / objects).resolve())}
        base = commit or _run(top, "hash-object", "-t", "tree", "-w", "--stdin", env=env).strip()
        _run(top, "read-tree", base, env=env)
        files = _run(top, "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *patterns, env=env)
        _run(top, "update-index", "--add", "--remove", "-z", "--stdin", env=env, text=files)
        return _bytes(_run(top, "diff", "--cached", "--binary", *PLAIN_DIFF, base, env=env))


def _run(folder: Path, *words: str, env: Mapping[str, str] | None = None, text: str = "") -> str:
    """Git's output. The user's GIT_* variables are dropped: they may name another repository. Raises OuterError."""
    done = call([*GIT, *words], cwd=folder, timeout_s=GIT_S, stdin=_bytes(text), drop=["GIT_*"], add=env)
    if not done.ok:
        raise OuterError(done.complaint)
    return done.stdout.decode("utf-8", "surrogateescape")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
