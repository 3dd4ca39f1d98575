"""What a runner needs to know of a fake training. It imports no torch, as a runner does not."""

from __future__ import annotations

from typing import Any

from suite.config.run_config import RunConfig


def config(seed: int = 0, epochs: int = 3) -> RunConfig:
    return RunConfig.build({"task": "scifar", "seed": seed, "data.variant": "sample", "train.epochs": epochs})


class Later:
    """The keywords of `fake_training.training`, which is called where this is unpickled: in the process of the run."""

    def __init__(self, **how: Any) -> None:
        self.how = how

    def __reduce__(self) -> tuple[Any, ...]:
        return _made, (self.how,)


def _made(how: dict[str, Any]) -> Any:
    from fake_training import training

    return training(**how)
