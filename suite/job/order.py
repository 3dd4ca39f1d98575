"""What a runner asks a job to do with a run: plain values that are passed on as JSON."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import model_validator

from suite.files.record import Record
from suite.job.compute import Compute
from suite.store.attempt import Pulse
from suite.store.records import Origin

FLAT = {"threads": "threads", "until": "until", "timeout_s": "timeout_s", "checkpoint_s": "checkpoint_s",
        "compile": "mode", "recompute": "recompute"}  # names in batches of the first release


class Order(Record):
    """How to compute a run.

    device: cpu or cuda. probe: stop after the first checkpoint. early: write the first checkpoint early. beat_s:
    seconds between heartbeats. still: the pulse of an attempt that may be overtaken although it has not ended
    (`suite.store.attempt.claim`). launch: who started it, with which code. stack: the ids of the runs that are computed
    together, including this one, in order (`suite.job.stacked`); empty for a run that is computed alone.
    """

    compute: Compute = Compute()
    device: str = "cpu"
    probe: bool = False
    early: bool = False
    beat_s: float = 1.0
    still: Pulse | None = None
    launch: Origin = Origin()
    stack: tuple[str, ...] = ()

    @property
    def limit_s(self) -> float | None:
        """Seconds after which to stop. A stack may take the time that its runs would take one after the other."""
        limit = self.compute.timeout_s
        return None if limit is None else limit * max(1, len(self.stack))

    @model_validator(mode="before")
    @classmethod
    def _from_flat(cls, values: object) -> object:
        """In batches submitted by the first release, the fields of `compute` are among the others."""
        if not isinstance(values, Mapping) or "checkpoint_s" not in values:
            return values
        kept = {key: value for key, value in values.items() if key not in FLAT}
        return kept | {"compute": {FLAT[key]: value for key, value in values.items() if key in FLAT}}

    def to_json(self) -> str:
        """The order as one line of JSON, for `from_json`."""
        return self.model_dump_json()

    @classmethod
    def from_json(cls, text: str) -> Order:
        """The order from the text of `to_json`."""
        return cls.model_validate_json(text)
