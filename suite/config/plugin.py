"""A user's own function or class, named in a grid as `module:name`, and what identifies it."""

from __future__ import annotations

import hashlib
import importlib
import inspect
from typing import Any

from suite.errors import UserError


def load(name: str, field: str) -> Any:
    """The function or class behind `module:name`. Raises UserError, naming `field`, if it cannot be imported."""
    module, _, attribute = name.partition(":")
    fix = "give module:name of an installed module, or of one in a folder on PYTHONPATH"
    try:
        found = getattr(importlib.import_module(module), attribute)
    except ImportError as error:
        raise UserError(f"cannot import {module!r}: {error}", field, fix) from error
    except AttributeError as error:
        raise UserError(f"module {module!r} has no {attribute!r}", field, fix) from error
    except (Exception, SystemExit) as error:  # noqa: BLE001 - it is the user's code, which may raise anything
        raise UserError(f"importing {module!r} raises {type(error).__name__}: {error}", field,
                        "fix the module") from error
    if not (inspect.isfunction(found) or inspect.isclass(found)):
        raise UserError(f"{name!r} is neither a function nor a class", field, fix)
    return found


def source(name: str, field: str) -> str:
    """`version:hash`: its `version` or its module's `__version__` ("0" without either), and a hash of its source.

    Raises UserError, naming `field`, if it cannot be imported or its source cannot be read.
    """
    found = load(name, field)
    module = importlib.import_module(name.partition(":")[0])
    version = getattr(found, "version", getattr(module, "__version__", "0"))
    if not isinstance(version, str | int | float):  # of a property or method, the text has another address each time
        raise UserError(f"the version of {name!r} is a {type(version).__name__}", field,
                        'write version = "1" in the class, or rename the attribute')
    try:
        text = inspect.getsource(found)
    except (OSError, TypeError) as error:
        raise UserError(f"the source of {name!r} cannot be read: {error}", field,
                        "define it in a file: its source is part of the run's identity") from error
    return f"{version}:{hashlib.sha256(text.encode()).hexdigest()[:16]}"
