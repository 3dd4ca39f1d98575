"""Arguments of user code in a combination: which of them its model and initialization take, read from their files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from suite.config.run_config import fields, is_argument
from suite.config.signature import ARGS, of_file
from suite.files.yaml import Node
from suite.grid.axes import Value

NOT_TAKEN = "–"  # label of a row that does not take the argument of an axis
OWNERS = {args: field for field, args in ARGS.items()}


def owner_of(key: str) -> str:
    """The field that names the code which takes an argument: `model.name` for `model.args.kernel`."""
    return OWNERS[key.rpartition(".")[0]]


def not_taken(settings: Mapping[str, Node]) -> dict[str, Node]:
    """The arguments among the settings that the combination has no code for, or that its code does not take.

    If only an import can show a signature, every argument counts as taken here, and `plan` checks it.
    """
    return {key: node for key, node in settings.items() if is_argument(key) and not _takes(settings, key)}


def _takes(settings: Mapping[str, Node], key: str) -> bool:
    field = owner_of(key)
    name = settings[field].value if field in settings else fields()[field].default
    if not isinstance(name, str) or ":" not in name:
        return False
    signature = of_file(name)
    return signature is None or signature.takes(field, key.rpartition(".")[2])


def misplaced(values: Iterable[Value], left_out: Mapping[str, Node]) -> Iterator[str]:
    """Arguments in a bundle that also names the code, if that code does not take them. No other row could take them, so
    they are mistakes."""
    for value in values:
        yield from (key for key in value.settings if key in left_out and owner_of(key) in value.settings)
