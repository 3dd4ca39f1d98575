"""What several files of tests begin with."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_runner import Ear
from one_run import RUN

from suite.files import study
from suite.launch import local
from suite.store import provenance
from suite.store.records import Origin
from suite.store.store import Store

os.environ.setdefault("SUITE_MIRROR", "http://127.0.0.1:9")  # nothing is downloaded in a test: nobody answers there
os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # `python` is this one
logging.getLogger("suite").setLevel(logging.INFO)  # as in a job, so that tests see what it logs


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store that is not there yet, on a path that every command line must quote."""
    return Store(tmp_path / "a 'store' with \"quotes\"")


@pytest.fixture
def folder(store: Store) -> Path:
    """The folder of `one_run.RUN`, with nothing but its configuration."""
    return store.add(RUN)


@pytest.fixture
def ear() -> Ear:
    """A listener to launches."""
    return Ear()


@pytest.fixture
def one_thread() -> Iterator[None]:
    """PyTorch computes with one thread, so that sums are added in the same order each time."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The local executor looks often, and asks git nothing."""
    monkeypatch.setattr(local, "TICK_S", 0.1)
    monkeypatch.setattr(local, "LOOK_S", 0.2)
    monkeypatch.setattr(provenance, "of_launch", lambda root: Origin(git=None, command=["a test"]))


@pytest.fixture
def no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports get small files in place of figures, which take most of their time. tests/report/figures draws them."""
    from suite.report.render import drawing

    monkeypatch.setattr(drawing.Drawing, "files", lambda one: {f"{one.path}.{kind}": one.title.encode()
                                                               for kind in ("png", "svg")})


@pytest.fixture(autouse=True)
def no_studies() -> Iterator[None]:
    """The folders of a test's grids are forgotten when it ends: the next one has its own modules and cards."""
    yield
    study.clear()
