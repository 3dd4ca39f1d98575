"""State space models: the layers S4D and S4, and their parts. Start with `suite/ssm/s4d.py` and the README.

    from suite.ssm import S4D
    layer = S4D(features=64, state_size=64, init="lin", length=1024)
    y = layer(u)                                         # u and y: (batch, length, features)

Importing this package does not import torch; the first use of a layer does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from suite.ssm.free import FreeKernel
    from suite.ssm.layer import S4, S4D
    from suite.ssm.mimo import SharedState
    from suite.ssm.rational import RationalKernel

__all__ = ["S4", "S4D", "FreeKernel", "RationalKernel", "SharedState"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from suite.ssm import layer

    return getattr(layer, name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
