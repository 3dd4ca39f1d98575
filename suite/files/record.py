"""Records: the suite's own JSON files, each with a checksum, as typed models."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError

from suite.files import atomic


class Record(BaseModel):
    """A record, or a part of one. Unknown keys are kept: a newer release may have written them.

    Only fields that were set are written, so reading and writing a record does not change it.
    """

    model_config = ConfigDict(frozen=True, extra="allow", populate_by_name=True, protected_namespaces=(),
                              arbitrary_types_allowed=True, defer_build=True)

    @classmethod
    def read(cls, path: Path) -> Self:
        """The record in a sealed file. Raises OSError, or Corrupt if it is damaged or of another kind."""
        return cls.of(atomic.read_sealed(path), path.name)

    @classmethod
    def of(cls, content: Mapping[str, object], name: str) -> Self:
        """The record with this content. `name` is the file's name. Raises Corrupt if a field is missing or invalid."""
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            first = error.errors()[0]
            raise atomic.Corrupt(f"{name}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None

    def content(self) -> Mapping[str, object]:
        """The record as plain values."""
        return self.model_dump(by_alias=True, exclude_unset=True)

    def sealed(self) -> bytes:
        """The record as the content of a sealed file."""
        return atomic.seal(self.content())
