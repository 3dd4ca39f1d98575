"""Cards of a test's own: those of the repository in another folder, where a test may change them and what they name."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import make_samples
import pytest
import yaml

from suite.config.run_config import RunConfig
from suite.data import cards
from suite.data.prepared import TaskData, load
from suite.errors import UserError


class Cards:
    """The cards, a folder for SUITE_DATA (`home`), and an empty cache."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.home, self.cache = folder / "datasets", folder / "home", folder / "cache"
        self.folder.mkdir()
        self.home.mkdir()
        for path in cards.CARDS.glob("*.yaml"):
            text = path.read_text().replace("datasets/samples", str(make_samples.SAMPLES))
            (self.folder / path.name).write_text(text)

    def change(self, name: str, variant: str, change: Callable[[dict[str, Any]], object]) -> None:
        """Change what the card says of a variant."""
        path = self.folder / f"{name}.yaml"
        fields = yaml.safe_load(path.read_text())
        change(fields["variants"][variant])
        path.write_text(yaml.safe_dump(fields, sort_keys=False))
        cards.load.cache_clear()

    def accept(self, name: str, variant: str) -> None:
        """Give the files of a variant, as they lie in `home`, the sha256 that they have."""
        def rehash(fields: dict[str, Any]) -> None:
            for file in fields["files"].values():
                place = file["path"] if isinstance(file["path"], str) else file["path"][-1]
                content = Path(place.replace("${SUITE_DATA}", str(self.home))).read_bytes()
                file["sha256"] = hashlib.sha256(content).hexdigest()
        self.change(name, variant, rehash)

    def load(self, task: str, variant: str, **options: Any) -> TaskData:
        """The data of a task, prepared in this cache."""
        flat = {"task": task, "data.variant": variant} | {f"data.{key}": value for key, value in options.items()}
        return load(RunConfig.build(flat).data, task)

    def entries(self) -> set[str]:
        """All that lies in the cache, but for locks and the fingerprints of sources."""
        paths = self.cache.iterdir() if self.cache.exists() else ()
        return {path.name for path in paths if path.suffix != ".lock" and path.name != "sources"}

    def error(self, task: str, variant: str, **options: Any) -> str:
        """The text of the one error that loading ends with; nothing half-written stays."""
        before = self.entries()
        with pytest.raises(UserError) as caught:
            self.load(task, variant, **options)
        assert len(caught.value.problems) == 1
        assert self.entries() == before
        return str(caught.value)


@contextmanager
def own_cards(folder: Path, patch: pytest.MonkeyPatch) -> Iterator[Cards]:
    made = Cards(folder)
    patch.setattr(cards, "CARDS", made.folder)
    patch.setenv("SUITE_CACHE", str(made.cache))
    patch.setenv("SUITE_DATA", str(made.home))
    for name in ("SPEECH_COMMANDS", "BIDMC32", "CIFAR10_BINARY"):
        patch.delenv(name, raising=False)
    cards.load.cache_clear()
    try:
        yield made
    finally:
        cards.load.cache_clear()
