"""A user's own initialization: a function, named in a grid as `module:function`.

    def my_init(state_size: int, copies: int, rng: numpy.random.Generator, slope=1.0): ...

is called with `ssm.init_args` as further keywords, and returns A as complex (N/2,) or (copies, N/2), or a mapping with
`a` and optionally `b` (copies, N/2) and `p` (rank, copies, N/2). Random numbers must be drawn from `rng`. Its source
files are part of the run's identity, see `suite.config.plugin`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from suite.config import plugin
from suite.errors import UserError
from suite.own.fault import OwnError

Complex = NDArray[np.complex128]


def call(name: str, state_size: int, copies: int, rng: np.random.Generator,
         args: Mapping[str, Any] | None = None) -> dict[str, Complex]:
    """`a` (S, N/2), and `b` (S, N/2) and `p` (r, S, N/2) if the function returns them. `args`: its keywords.

    Raises UserError, with the field `ssm.init`, for a wrong shape, values that are not finite, or an exception.
    """
    modes = state_size // 2
    try:
        result = plugin.load(name, "ssm.init")(state_size, copies, rng, **(args or {}))
    except UserError:
        raise
    except Exception as error:
        given = "".join(f", {key}={value!r}" for key, value in (args or {}).items())
        raise OwnError(f"{name} raised {type(error).__name__}: {error}", "ssm.init",
                       f"it is called as function(state_size, copies, rng{given})", error) from error
    parts = dict(result) if isinstance(result, Mapping) else {"a": result}
    if "a" not in parts or not set(parts) <= {"a", "b", "p"}:
        raise UserError(f"{name} returned the keys {sorted(parts)}", "ssm.init", "return a, and optionally b and p")
    return {key: _checked(name, key, value, copies, modes) for key, value in parts.items()}


def _checked(name: str, key: str, value: Any, copies: int, modes: int) -> Complex:
    try:
        array = np.asarray(value, dtype=np.complex128)
    except (TypeError, ValueError) as error:
        raise UserError(f"{name} returned a {key} that is not a complex array: {error}", "ssm.init") from error
    if key == "a" and array.shape == (modes,):
        array = np.broadcast_to(array, (copies, modes)).copy()
    want = (copies, modes)
    if array.shape[-2:] != want or array.ndim != (3 if key == "p" else 2):
        shape = f"(rank, {copies}, {modes})" if key == "p" else f"({copies}, {modes})"
        raise UserError(f"{name} returned {key} of shape {array.shape}, not {shape}, which is (copies, state_size / 2)",
                        "ssm.init", "return a complex value for each copy and each of the state_size / 2 pairs")
    if not np.isfinite(array).all():
        raise UserError(f"{name} returned {key} with values that are not finite", "ssm.init")
    return array
