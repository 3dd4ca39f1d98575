"""A file of a data set, as described in its card: its places, content and download address."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

from pydantic import Field, model_validator

from suite.data import places
from suite.errors import Problem, UserError
from suite.files import resources
from suite.files.variables import folder_in
from suite.files.yaml_model import Part

VARIABLE = re.compile(r"\$\{(\w+)\}")
DATA = "${SUITE_DATA}/"  # places below it are also looked up in the download folder
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Download(Part):
    """A public address of a file: the file itself, or an archive with the file or folder `member`."""

    url: str = Field(pattern=r"^https?://[^/\s]+/\S+$")
    mb: float = Field(gt=0, description="of the download, about")
    bytes: int | None = Field(None, gt=0, description="of the download, exactly, if known")
    sha256: Digest | None = Field(None, description="of the download; without it, https from this address only")
    member: str | None = Field(None, description="file or folder within the archive, at any depth, as `tsv_data/a.tsv`")
    only: tuple[str, ...] = Field((), description="the needed parts of a folder; empty for all")
    unpacked_mb: float = Field(0, ge=0, description="size of the member on disk, about")

    @property
    def size(self) -> int:
        """Bytes to download, exactly or about."""
        return self.bytes if self.bytes is not None else int(self.mb * 1e6)


class File(Part):
    """A file, folder or archive of a variant, at the first place in `path` that exists.

    A place is relative to the repository (for a user's card, to the study), or begins with an environment variable, as
    `${SUITE_DATA}/imdb`. A file that is not in SUITE_DATA may have the same name in the download folder
    (`suite.data.places.downloads`), where `data prepare` puts files with an address (`download`). A file without a
    sha256 is the user's own: its content is fingerprinted when it is prepared. `rows_sha256` is an alternative that
    does not depend on the program that wrote a Parquet file: the digest of its rows (see `suite.data.parquet`).
    `tasks`: the tasks that need it; empty for all.
    """

    path: str | tuple[str, ...]
    sha256: Digest | None = None
    rows_sha256: Digest | None = None
    tasks: tuple[str, ...] = ()
    download: Download | None = None

    @model_validator(mode="after")
    def _below(self) -> File:
        if any(".." in Path(place).parts for place in (*self.places, *([self.member] if self.member else []))):
            raise ValueError("a path must not contain ..")
        if self.download and self._below_data is None:
            raise ValueError(f"a download needs a place below {DATA} with the file name of its address")
        return self

    @property
    def member(self) -> str | None:
        """The file or folder in the downloaded archive. None if the download is the file itself."""
        return self.download.member if self.download else None

    @property
    def _below_data(self) -> str | None:
        """The place below SUITE_DATA with the name of the download."""
        name = (self.member or self.download.url if self.download else "").rsplit("/", 1)[-1]
        rests = [place.removeprefix(DATA) for place in self.places if place.startswith(DATA)]
        return next((rest for rest in rests if rest.rsplit("/", 1)[-1] == name), None)

    @property
    def target(self) -> Path | None:
        """The path of its download. None if it has no address."""
        return places.downloads() / self._below_data if self.download and self._below_data else None

    @property
    def places(self) -> tuple[str, ...]:
        """Where it may be, in search order."""
        return (self.path,) if isinstance(self.path, str) else self.path

    @property
    def ours(self) -> bool:
        """Whether it comes with the repository."""
        return not self.places[0].startswith(("$", "/"))

    def below(self, home: Path) -> File:
        """The same file, with relative places below the folder `home`."""
        places = tuple(place if place.startswith(("$", "/")) else str(home / place) for place in self.places)
        return self.model_copy(update={"path": places})

    def find(self) -> Path:
        """Its path on this machine. Raises UserError if it is missing, with the environment variables that are not set.
        """
        problems = []
        for place in self.places:
            unset = [name for name in VARIABLE.findall(place) if not folder_in(name)]
            if unset:
                rest = VARIABLE.sub("", place, count=1).lstrip("/")
                fix = f"export {unset[0]}=DIR, where DIR " + (f"holds {rest}" if rest else "is its place")
                problems.append(Problem(f"{place} is needed, but the environment variable {unset[0]} is not set",
                                        fix=fix))
                continue
            path = resources.root() / VARIABLE.sub(lambda match: folder_in(match[1]) or "", place)
            if path.exists():
                return path
            problems.append(Problem(f"{path} is not there"))
        for place in self.places:
            if place.startswith(DATA) and (path := places.downloads() / place.removeprefix(DATA)).exists():
                return path
        if self.ours and resources.is_installed():
            raise UserError(f"the sample {Path(self.places[0]).name} is missing: these data have no formal licence, "
                            "so the installed package may not include it")
        raise UserError("; nor: ".join(problem.what for problem in problems),
                        fix=next((problem.fix for problem in problems if problem.fix), ""))


class Hub(Part):
    """A data set on the Hugging Face hub, at one revision. `splits` and `columns`: names of the suite -> of the hub."""

    repo: str
    revision: str
    config: str | None = None
    splits: dict[str, str]
    columns: dict[str, str] = {}
