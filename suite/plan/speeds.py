"""Speeds shipped with the suite: `speeds.yaml`, made by `tools/make_speeds.py` from kept results."""

from __future__ import annotations

from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from pydantic import Field

from suite.config.run_config import RunConfig
from suite.files.yaml import load_yaml
from suite.files.yaml_model import Part, validated
from suite.plan.operations import Device

PATH = Path(__file__).with_name("speeds.yaml")


class MeasuredDevice(Part):
    """A CPU or GPU with known speeds. pass_seconds: the result of `speed_test` on such a CPU."""

    kind: Device
    pass_seconds: float | None = Field(None, gt=0)


class ShippedSpeed(Part):
    """Seconds per epoch: the median over kept runs of a shape on a device, with one thread.

    least, most: their range. at_once: how many of them shared the GPU. source: the folders where they are kept.
    """

    shape: str = Field(pattern=r"^[0-9a-f]{16}$")
    device: str
    seconds: float = Field(gt=0)
    least: float = Field(gt=0)
    most: float = Field(gt=0)
    runs: int = Field(ge=1)
    at_once: int = Field(1, ge=1)
    source: str
    settings: dict[str, Any]

    @cached_property
    def config(self) -> RunConfig:
        """A configuration of the shape."""
        return RunConfig.build(self.settings)


class Shipped(Part):
    """All of `speeds.yaml`."""

    devices: dict[str, MeasuredDevice]
    speeds: tuple[ShippedSpeed, ...]

    def of(self, kind: Device) -> list[ShippedSpeed]:
        """The speeds of CPUs, or of GPUs."""
        return [one for one in self.speeds if self.devices[one.device].kind is kind]


@lru_cache(maxsize=1)
def shipped() -> Shipped:
    """The shipped speeds. Raises UserError, with file and line, for an error in the file."""
    return validated(load_yaml(PATH), Shipped)
