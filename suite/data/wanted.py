"""The data that a run needs: the entry of the cache, its source, and how it is made."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

from suite.data import cache, cards, checks, stamps
from suite.data.card import ADDED
from suite.data.families import Family, family
from suite.data.prepared_types import Prepared
from suite.data.source import Source
from suite.errors import UserError, nearest
from suite.files import atomic


class Choice(Protocol):
    """The form of a data set that a run chooses, as in its fields `data.…`."""

    @property
    def name(self) -> str:
        """The data set."""

    @property
    def variant(self) -> str:
        """The form of the data set."""

    @property
    def preparation(self) -> int:
        """The version of the code that prepares it."""

    @property
    def options(self) -> Mapping[str, Any]:
        """The values of the card's options."""

    @property
    def name_source(self) -> str:
        """The digest of a user's card and functions. "" for the suite's data sets."""


@dataclass(frozen=True)
class Wanted:
    """Data to prepare: the name and key of their entry in the cache, and how to make it."""

    source: Source
    module: Family
    view: str
    own: str = ""  # the digest of a user's card and function

    @property
    def label(self) -> str:
        """The readable part of the entry's name."""
        return f"{self.source.name}-{self.source.variant}-{self.view}"

    @cached_property
    def key(self) -> Mapping[str, Any]:
        """All that determines the arrays. Raises UserError if a user's file is missing."""
        card = self.source.card
        key = {"name": self.source.name, "variant": self.source.variant, "preparation": card.preparation,
               **self._options, "view": self.view, "files": stamps.contents(self.source)}
        return key | ({"hub": card.hub.model_dump()} if card.hub else {}) | ({"own": self.own} if self.own else {})

    @property
    def _options(self) -> dict[str, Any]:
        """The options, without later ones at their legacy values, so that the keys of prepared data do not change."""
        legacy = cards.legacy(self.source.name, self.source.variant)
        return {k: v for k, v in self.source.options.items() if k not in ADDED or v != legacy.get(k)}

    def make(self) -> Prepared:
        """Prepare the arrays. Raises UserError for any error of the family, and for unusable arrays."""
        try:
            made = self.module.prepare(self.source, self.view)
        except (UserError, MemoryError):  # a lack of memory is a separate reason for the end of a run
            raise
        except ImportError as error:
            raise UserError(f"its family cannot import what it needs: {error} ({self.line(error)})", self.source.place,
                            "install the missing package") from error
        except Exception as error:
            if isinstance(error, OSError) and error.errno in atomic.FULL:
                raise
            raise UserError(f"its family fails: {type(error).__name__}: {error} ({self.line(error)})",
                            self.source.place, "fix the file that it reads, or `prepare` there") from error
        checks.check(made, self.source.place)
        checks.fits(made.facts, cards.task(self.source.task), self.source.place)
        return made

    def is_prepared(self) -> bool:
        """Whether the entry is in the cache, so that its source is not needed."""
        try:
            return cache.find(self.label, self.key) is not None
        except UserError:
            return False  # a file of the source was never read

    def line(self, error: Exception) -> str:
        """The line of the family's module that raised the error, since a UserError is shown without traceback."""
        path = getattr(self.module, "__file__", None)
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == path]
        return f"{path}, line {lines[-1]}" if lines else str(getattr(self.module, "__name__", ""))


def wanted(config: Choice, task: str) -> Wanted:
    """The data that `config` chooses for `task`. Raises UserError if the data set does not provide the task."""
    options = cards.resolve({"name": config.name, "variant": config.variant, "preparation": config.preparation,
                             **config.options})
    chosen = {k: v for k, v in options.items() if k not in ("name", "variant", "preparation")}
    module = family(config.name)
    if task not in module.VIEWS:
        raise UserError(f"the data set {config.name!r} does not provide the task {task!r}", "data.name",
                        nearest(task, module.VIEWS))
    return Wanted(Source(config.name, config.variant, chosen, task), module, module.VIEWS[task], config.name_source)
