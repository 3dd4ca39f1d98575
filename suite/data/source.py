"""The source files of a data set: found, checked against their card, and read with Hugging Face `datasets`."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from suite.data import cards
from suite.errors import UserError


@dataclass(frozen=True)
class Source:
    """One variant of a data set, with the values of its options."""

    name: str
    variant: str
    options: Mapping[str, Any]

    @cached_property
    def card(self) -> cards.Variant:
        """The card of this variant."""
        return cards.load(self.name).variant(self.variant)

    @property
    def place(self) -> str:
        """This data set and variant, for errors."""
        return f"data set {self.name}, variant {self.variant}"

    def rows(self, file: str, columns: Mapping[str, str]) -> Any:
        """The card's file as a Hugging Face Dataset in memory, on which the caller may rely for `columns`.

        `columns` says for each that must be there what kind of feature it is: Image, ClassLabel, List or Value.
        Raises UserError where the file is missing, is not the card's (sha256), or cannot be read. Uses no network.
        """
        path = self.path(file)
        # Imported here: a job on prepared data need not wait for it.
        import pyarrow as pa
        from datasets.exceptions import DatasetGenerationError

        import datasets

        datasets.disable_progress_bars()  # a log file is no terminal
        with tempfile.TemporaryDirectory() as scratch:  # else a copy of all data would stay in the home folder
            try:
                rows = datasets.Dataset.from_parquet(str(path), cache_dir=scratch, keep_in_memory=True)
            except (pa.ArrowException, DatasetGenerationError, ValueError, OSError) as error:
                raise UserError(f"{path} is not a Parquet file that can be read: {_cause(error)}", self.place,
                                self.card.get) from error
        kinds = {name: type(feature).__name__ for name, feature in rows.features.items()}
        wrong = [f"{name} ({kind})" for name, kind in columns.items() if kinds.get(name) != kind]
        if wrong:
            raise UserError(f"{path} lacks the columns {', '.join(wrong)}; it has "
                            + ", ".join(f"{name} ({kind})" for name, kind in kinds.items()), self.place, self.card.get)
        return rows

    def path(self, file: str) -> Path:
        """Where the card's file is. Raises UserError where it is missing or where its sha256 is not the card's."""
        entry = self.card.files[file]
        try:
            path = entry.find()
        except UserError as error:
            raise UserError(error.problems[0].what, self.place,
                            f"{error.problems[0].fix}. {self.ways()}") from None
        if not path.is_file():
            raise UserError(f"the file {path} is not there", self.place, self.ways())
        try:
            with path.open("rb") as stream:
                found = hashlib.file_digest(stream, "sha256").hexdigest()
        except OSError as error:
            raise UserError(f"{path} cannot be read: {error.strerror}", self.place, "check its permissions") from None
        if found != entry.sha256:
            raise UserError(f"{path} is damaged or another file: sha256 {found}, the card expects {entry.sha256}",
                            self.place, self.ways())
        return path

    def ways(self) -> str:
        """How to get this variant, and how to choose another."""
        others = {name: card for name, card in cards.load(self.name).variants.items() if name != self.variant}
        text = "; ".join(f"--set data.variant={name} ({card.about.splitlines()[0]})" for name, card in others.items())
        return " ".join(self.card.get.split()) + (f" Or choose another variant: {text}" if text else "")


def _cause(error: BaseException) -> str:
    """The first line of the innermost error: `datasets` wraps what went wrong in a message that does not say it."""
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error).splitlines()[0] if str(error) else type(error).__name__
