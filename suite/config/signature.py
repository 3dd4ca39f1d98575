"""The parameters of user code: of a function or of a class's `__init__`, read from its file or from the import.

A sequence layer may have the parameters `features`, `length`, `bidirectional`, `rate` and `args` (all of `model.args`);
parameters without a default may be named as fields `ssm.*`. The suite fills these in. Every other parameter is an
argument, which a grid gives as `model.args.NAME`, or `ssm.init_args.NAME` for an initialization.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError

from suite.config import plugin
from suite.config.fields import SSM
from suite.errors import Problem, UserError, nearest
from suite.own import modules

Own = Callable[..., Any]
GIVEN = ("features", "length", "bidirectional", "rate", "args")  # what the suite gives to a layer
OF_INIT = ("state_size", "copies", "rng")
ARGS = {"model.name": "model.args", "ssm.init": "ssm.init_args"}


@dataclass(frozen=True)
class Parameter:
    """A parameter. It is `needed` if it has no default."""

    name: str
    needed: bool


@dataclass(frozen=True)
class Signature:
    """The parameters without `self`. `is_open`: there is a `**kwargs`; `is_variadic`: there is an `*args`."""

    parameters: tuple[Parameter, ...]
    is_open: bool = False
    is_variadic: bool = False

    def arguments(self, field: str) -> list[str]:
        """The names of the arguments that a grid can give to the code in this field."""
        given = GIVEN if field == "model.name" else OF_INIT
        return [one.name for one in self.parameters if one.name not in given]

    def takes(self, field: str, name: str) -> bool:
        """Whether a grid can give this argument."""
        everything = self.is_open or (field == "model.name" and any(one.name == "args" for one in self.parameters))
        return name in self.arguments(field) or (everything and name not in GIVEN)


def of_file(name: str) -> Signature | None:
    """The signature, read from the file without an import. None if only an import can show it."""
    module, _, attribute = name.partition(":")
    return _in_module(module, attribute, 0)


def _in_module(module: str, attribute: str, depth: int) -> Signature | None:
    found = modules.find(module) if modules.is_own(module) else None
    tree = modules.read(found).tree if found is not None else None
    if found is None or tree is None or depth > 9:
        return None
    node = plugin.definition(tree, attribute)
    if isinstance(node, ast.FunctionDef):
        return None if node.decorator_list else _of_arguments(node.args, 0)
    if node is None:
        other = _imported(tree, attribute, found.package)
        return _in_module(*other, depth + 1) if other else None
    made = next((part for part in node.body if isinstance(part, ast.FunctionDef) and part.name == "__init__"), None)
    if made is not None:
        return None if made.decorator_list else _of_arguments(made.args, 1)
    bases = [base.id for base in node.bases if isinstance(base, ast.Name)]
    if node.decorator_list or len(bases) != 1 or len(node.bases) != 1 or bases == [attribute]:
        return None
    return _in_module(module, bases[0], depth + 1)


def _imported(tree: ast.Module, attribute: str, package: str) -> tuple[str, str] | None:
    """Where `from x import attribute` takes it from."""
    for node in tree.body:
        for alias in node.names if isinstance(node, ast.ImportFrom) else ():
            if (alias.asname or alias.name) == attribute and isinstance(node, ast.ImportFrom):
                return modules.absolute(node, package), alias.name
    return None


def _of_arguments(found: ast.arguments, skipped: int) -> Signature:
    placed = [*found.posonlyargs, *found.args]
    needed = len(placed) - len(found.defaults)
    parameters = [Parameter(one.arg, i < needed) for i, one in enumerate(placed)][skipped:]
    parameters += [Parameter(one.arg, default is None)
                   for one, default in zip(found.kwonlyargs, found.kw_defaults, strict=True)]
    return Signature(tuple(parameters), found.kwarg is not None, found.vararg is not None)


def of(own: Own) -> Signature:
    """The signature of an imported function or class. Raises UserError if it has none."""
    try:
        found = inspect.signature(own).parameters.values()
    except (ValueError, TypeError) as error:
        raise UserError(f"the signature of {own!r} cannot be read: {error}", "model.name") from None
    plain = [one for one in found if one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)]
    return Signature(tuple(Parameter(one.name, one.default is one.empty) for one in plain),
                     any(one.kind is one.VAR_KEYWORD for one in found),
                     any(one.kind is one.VAR_POSITIONAL for one in found))


def unknown(name: str, field: str, arg: str, signature: Signature) -> Problem:
    """The problem to report for an argument that user code does not take."""
    given = arg in (GIVEN if field == "model.name" else OF_INIT)
    known = signature.arguments(field)
    fix = f"leave it out: the suite gives {arg}" if given else (
        nearest(arg, known) if known else "it takes none")
    return Problem(f"{name} takes no argument {arg!r}", f"{ARGS[field]}.{arg}", fix)


def problems(name: str, field: str, own: Own, args: Mapping[str, Any]) -> Iterator[Problem]:
    """What is wrong with the arguments that a grid gives, judged by signature, annotations and defaults."""
    signature = of(own)
    hints = _hints(own)
    found = inspect.signature(own).parameters
    for arg, value in args.items():
        if not signature.takes(field, arg):
            yield unknown(name, field, arg, signature)
        elif arg in found and (wanted := _wanted(hints.get(arg), found[arg].default, value)):
            yield Problem(f"{name} takes {wanted} as {arg}, not {value!r}", f"{ARGS[field]}.{arg}")


def _hints(own: Own) -> dict[str, Any]:
    try:
        return get_type_hints(own.__init__ if inspect.isclass(own) else own)
    except Exception:  # noqa: BLE001 - evaluating the user's annotations may raise anything
        return {}


def _wanted(hint: Any, default: object, value: Any) -> str:
    """The expected type, if the value has another one. "" if it fits, or if the signature does not say."""
    if hint is not None:
        try:
            check = TypeAdapter(hint, config=ConfigDict(strict=True))
        except (PydanticUserError, TypeError):
            return ""
        if any(_fits(check, form) for form in ([value, list(value)] if isinstance(value, tuple | list) else [value])):
            return ""
        return str(getattr(hint, "__name__", hint)) if isinstance(hint, type) else str(hint).replace("typing.", "")
    if isinstance(default, str) and not isinstance(value, str | None):
        return f"a text (its default is {default!r})"
    if isinstance(default, int | float) and not isinstance(value, int | float | None):
        return f"a number (its default is {default!r})"
    return ""


def _fits(check: TypeAdapter[Any], value: object) -> bool:
    try:
        check.validate_python(value)
    except ValidationError:
        return False
    return True


def is_layer(name: str, signature: Signature, args: Mapping[str, Any]) -> bool:
    """Whether a model is a sequence layer, `MyMixer(features, …)`, and not a factory `MyModel(config, data, …)`.

    Raises UserError if a required argument is not given.
    """
    if signature.is_variadic:
        return False
    needed = [one.name for one in signature.parameters if one.needed and one.name not in args]
    open_ = [one for one in needed if one not in GIVEN and one not in SSM.model_fields]
    names = [one.name for one in signature.parameters]
    if len(open_) == 2 and open_ == needed == names[:2]:
        return False
    if not open_ and (needed or "features" in names):
        return True
    if len(open_) == 1 and open_ == names[:1] and "features" not in names:
        return True
    raise UserError(f"{name} needs {len(needed)} arguments: {', '.join(needed) or 'not even features'}", "model.name",
                    "write a module MyMixer(features), or a factory MyModel(config, data); give other arguments as "
                    "model.args.NAME, or a default")


def call(name: str, own: Own, ssm: SSM, given: Mapping[str, Any], args: Mapping[str, Any]) -> Any:
    """Make the layer. `given` has a value for each name in GIVEN except `args`."""
    signature = of(own)
    values = {**given, "args": dict(args)}
    keywords = {one.name: values[one.name] for one in signature.parameters if one.name in values}
    keywords |= {one.name: getattr(ssm, one.name) for one in signature.parameters
                 if one.needed and one.name in SSM.model_fields and one.name not in values}
    if "args" not in keywords:
        keywords |= args
    if "features" in keywords or not signature.parameters:
        return own(**keywords)
    first = signature.parameters[0].name
    return own(**keywords) if first in keywords else own(given["features"], **keywords)
