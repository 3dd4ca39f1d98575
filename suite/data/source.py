"""The sources of a data set: finding them, checking them against the card, and reading them with `datasets`."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from suite.data import cards, hub, parquet, places
from suite.data.card import Variant
from suite.data.card_file import File
from suite.errors import UserError
from suite.files import atomic


@lru_cache(maxsize=None)
def digest(path: Path, size: int, mtime_ns: int) -> str:
    """The sha256 of a file of this size and time. It is read once per process, since several tasks share files."""
    return atomic.sha256_of(path)


@dataclass(frozen=True)
class Source:
    """One variant of a data set, with the values of its options, for a task."""

    name: str
    variant: str
    options: Mapping[str, Any]
    task: str = ""

    @cached_property
    def card(self) -> Variant:
        """The card of this variant."""
        return cards.load(self.name).variant(self.variant)

    @property
    def place(self) -> str:
        """The data set and variant, for errors."""
        return f"data set {self.name}, variant {self.variant}"

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of the files, or of the splits of the hub, for `rows`."""
        return tuple(self.card.hub.splits if self.card.hub else self.files)

    @property
    def files(self) -> dict[str, File]:
        """The card's files, except those that only other tasks need."""
        return {name: file for name, file in self.card.files.items() if not file.tasks or self.task in file.tasks}

    @property
    def origin(self) -> Source | None:
        """The source of which this one is a sample, if the installed package may not include the sample; else None."""
        return Source(self.name, self.card.drawn_from, {}, self.task) if self.card.drawn_from else None

    def is_here(self) -> bool:
        """Whether all files of the card exist, in one of their places."""
        try:
            return all(file.find() for file in self.card.files.values())
        except UserError:
            return False

    def rows(self, file: str, columns: Mapping[str, str]) -> Any:
        """The card's Parquet file, or split of the hub, as a Hugging Face Dataset with checked content.

        `columns`: the required columns, each with its kind of feature: Image, ClassLabel, List or Value.
        Raises UserError if it is missing, has another sha256 than the card, or cannot be read. Files need no network.
        """
        rows = hub.rows(self.card.hub, file, self.place, self.ways()) if self.card.hub else \
            self._parquet(self.path(file))
        kinds = {name: type(feature).__name__ for name, feature in rows.features.items()}
        wrong = [f"{name} ({kind})" for name, kind in columns.items() if kinds.get(name) != kind]
        if wrong:
            where = f"{self.card.hub.repo}, split {file}," if self.card.hub else self.path(file)
            raise UserError(f"{where} lacks the columns {', '.join(wrong)}; it has "
                            + ", ".join(f"{name} ({kind})" for name, kind in kinds.items()), self.place, self.card.way)
        return rows

    def _parquet(self, path: Path) -> Any:
        # Imported here, so that a job on prepared data need not wait for it.
        import pyarrow as pa
        from datasets.exceptions import DatasetGenerationError

        import datasets

        datasets.disable_progress_bars()  # a log file is not a terminal
        with tempfile.TemporaryDirectory() as scratch:  # else a copy of all data would remain in the home folder
            try:
                return datasets.Dataset.from_parquet(str(path), cache_dir=scratch, keep_in_memory=True)
            except (pa.ArrowException, DatasetGenerationError, ValueError, OSError) as error:
                raise UserError(f"{path} cannot be read as a Parquet file: {hub.cause(error)}", self.place,
                                self.card.way) from error

    def find(self, file: str) -> Path:
        """The path of the card's file or folder. Raises UserError if it is missing, with all ways to get it."""
        try:
            return self.card.files[file].find()
        except UserError as error:
            problem = error.problems[0]
            raise UserError(problem.what, self.place, f"{problem.fix}. {self.ways()}".removeprefix(". ")) from None

    def path(self, file: str) -> Path:
        """As `find`, but also checks the content. Raises UserError if its sha256 is not the card's."""
        path, expected = self.find(file), self.card.files[file].sha256
        if expected is None:
            return path
        try:
            stamp = path.stat()
            found = digest(path, stamp.st_size, stamp.st_mtime_ns)
        except OSError as error:
            raise UserError(f"{path} cannot be read: {error.strerror}", self.place, "check its permissions") from None
        if found != expected and not parquet.same_rows(path, self.card.files[file]):
            raise UserError(f"{path} is damaged or not the right file: sha256 {found}, the card expects {expected}",
                            self.place, self.fix_for(path))
        return path

    def lines(self, path: Path) -> Iterator[str]:
        """The lines of a text file of this source, without line breaks. Raises UserError if one is not UTF-8."""
        try:
            with path.open("rb") as stream:
                for number, line in enumerate(stream, 1):
                    try:
                        yield line.decode("utf-8").rstrip("\r\n")
                    except UnicodeDecodeError as error:
                        raise UserError(f"{path}, line {number}: not UTF-8 ({error.reason} at byte {error.start})",
                                        self.place, "get the file again, or convert it to UTF-8") from None
        except OSError as error:
            raise UserError(f"{path} cannot be read: {error.strerror}", self.place, "check its permissions") from None

    def check(self) -> None:
        """Raises UserError if a file is missing or not the card's, or if the hub lacks the data. Downloads nothing.

        All files are read completely, so that a damaged one is reported once, not by each run that needs it.
        """
        for file in self.files:
            self.path(file)
        if self.card.hub:
            hub.check(self.card.hub, self.place, self.ways())

    def ways(self) -> str:
        """How to get this variant, and how to choose another."""
        size = f" ({self.card.download_mb:,.0f} MB to download)" if self.card.download_mb else ""
        return self.card.way + size + self.others()

    def fix_for(self, path: Path) -> str:
        """What to do about a damaged file. A downloaded one must be removed, or it is not downloaded again."""
        again = f"remove {path}, which was downloaded, and start the same command again. "
        return (again if path.is_relative_to(places.downloads()) else "") + self.ways()

    def others(self) -> str:
        """How to choose another variant. "" if there is no other."""
        others = {name: card for name, card in cards.load(self.name).variants.items() if name != self.variant}
        text = "; ".join(f"--set data.variant={name} ({card.first_line})" for name, card in others.items())
        return f" Or choose another variant: {text}" if text else ""
