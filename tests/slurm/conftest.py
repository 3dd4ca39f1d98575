"""What the tests of the SLURM executor share."""

import pytest

from suite.launch import snapshot


@pytest.fixture
def copied() -> None:
    """Submissions of this test copy the code, as they really do: its jobs run the copy."""


@pytest.fixture(autouse=True)
def no_copy(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Submissions copy no code, which takes most of their time, unless the test has the fixture `copied`."""
    if "copied" not in request.fixturenames and request.node.get_closest_marker("slurm") is None:
        monkeypatch.setattr(snapshot, "freeze", lambda store, *_: store / "code")
