"""The commit of the suite's own code, whatever the user's environment and git are like."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from suite.store import provenance


def git(folder: Path, *words: str) -> str:
    """What git prints, in an environment without variables of its own."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    identity = ("-c", "user.name=n", "-c", "user.email=e@example.org")
    return subprocess.run(["git", *identity, *words], cwd=folder, env=env, check=True, capture_output=True,
                          text=True).stdout.strip()


def repository(folder: Path, text: str) -> Path:
    """A folder with a commit of one file that is named as the module which asks."""
    folder.mkdir()
    git(folder, "init", "-q")
    (folder / "provenance.py").write_text(text)
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "first")
    return folder


@pytest.fixture
def code(tmp_path: Path) -> Path:
    return repository(tmp_path / "code", "ours = 1\n")


def tool(folder: Path, text: str, monkeypatch: pytest.MonkeyPatch, mode: int = 0o755) -> None:
    """Put a file named git first on the PATH."""
    folder.mkdir()
    (folder / "git").write_text(text)
    (folder / "git").chmod(mode)
    monkeypatch.setenv("PATH", str(folder) if mode != 0o755 else f"{folder}:{os.environ['PATH']}")


@pytest.mark.parametrize("name", ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY",
                                  "GIT_CEILING_DIRECTORIES", "GIT_NAMESPACE", "GIT_EXTERNAL_DIFF"])
def test_variables_of_git_do_not_name_another_repository(code: Path, tmp_path: Path, name: str,
                                                         monkeypatch: pytest.MonkeyPatch) -> None:
    other = repository(tmp_path / "other", "theirs = 1\n")
    values = {"GIT_DIR": other / ".git", "GIT_WORK_TREE": other, "GIT_INDEX_FILE": other / ".git/index",
              "GIT_OBJECT_DIRECTORY": other / ".git/objects", "GIT_CEILING_DIRECTORIES": tmp_path}
    monkeypatch.setenv(name, str(values.get(name, "false")))
    found = provenance.of_code(code, tmp_path / "store")
    assert (found.commit, found.dirty, found.error) == (git(code, "rev-parse", "HEAD"), False, "")


def test_the_patch_does_not_depend_on_the_users_configuration(code: Path, tmp_path: Path,
                                                              monkeypatch: pytest.MonkeyPatch) -> None:
    (code / "provenance.py").write_text("ours = 2\n")
    plain = provenance.of_code(code, tmp_path / "store").patch
    home = tmp_path / "home"
    home.mkdir()
    (home / ".gitconfig").write_text("[color]\nui = always\n[diff]\nnoprefix = true\nexternal = false\n"
                                     "mnemonicPrefix = true\n")
    monkeypatch.setenv("HOME", str(home))
    assert plain and provenance.of_code(code, tmp_path / "store").patch == plain


def test_git_that_cannot_be_started_is_no_commit(code: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool(tmp_path / "bin", "#!/bin/sh\n", monkeypatch, 0o644)
    found = provenance.of_code(code, tmp_path / "store")
    assert found.commit is None and found.error == "git cannot be started: Permission denied"


def test_git_that_hangs_or_fails_is_no_commit(code: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provenance, "GIT_S", 0.3)
    tool(tmp_path / "bin", "#!/bin/sh\nexec sleep 60\n", monkeypatch)
    assert provenance.of_code(code, tmp_path / "store").error == "git did not end within 0.3 seconds"
    (tmp_path / "bin/git").write_text("#!/bin/sh\necho; echo 'no licence' >&2; exit 7\n")
    assert provenance.of_code(code, tmp_path / "store").error == "no licence"
