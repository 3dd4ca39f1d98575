"""A digest of a Python file's syntax tree, the same for every Python from 3.11 on.

Comments, blank lines, quotes, line breaks and docstrings do not matter. Only the fields listed here are read for each
kind of node: the output of `ast.dump` differs between releases of Python, for example in positions and empty lists.
"""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Iterator

FUNCTION = ("name", "type_params", "args", "returns", "decorator_list", "body")
LOOP = ("target", "iter", "body", "orelse")
COMPREHENSION = ("elt", "generators")
TRY = ("body", "handlers", "orelse", "finalbody")
NAMED = ("name", "bound", "default_value")
FIELDS: dict[str, tuple[str, ...]] = {
    "Module": ("body",), "Expression": ("body",), "Interactive": ("body",),
    "FunctionDef": FUNCTION, "AsyncFunctionDef": FUNCTION,
    "ClassDef": ("name", "type_params", "bases", "keywords", "decorator_list", "body"),
    "Return": ("value",), "Delete": ("targets",), "Assign": ("targets", "value"), "TypeAlias": (
        "name", "type_params", "value"), "AugAssign": ("target", "op", "value"),
    "AnnAssign": ("target", "annotation", "value", "simple"),
    "For": LOOP, "AsyncFor": LOOP, "While": ("test", "body", "orelse"), "If": ("test", "body", "orelse"),
    "With": ("items", "body"), "AsyncWith": ("items", "body"), "withitem": ("context_expr", "optional_vars"),
    "Match": ("subject", "cases"), "match_case": ("pattern", "guard", "body"), "MatchValue": ("value",),
    "MatchSingleton": ("value",), "MatchSequence": ("patterns",), "MatchMapping": ("keys", "patterns", "rest"),
    "MatchClass": ("cls", "patterns", "kwd_attrs", "kwd_patterns"), "MatchStar": ("name",),
    "MatchAs": ("pattern", "name"), "MatchOr": ("patterns",),
    "Raise": ("exc", "cause"), "Try": TRY, "TryStar": TRY, "ExceptHandler": ("type", "name", "body"),
    "Assert": ("test", "msg"), "Import": ("names",), "ImportFrom": ("module", "names", "level"),
    "alias": ("name", "asname"), "Global": ("names",), "Nonlocal": ("names",), "Expr": ("value",), "Pass": (),
    "Break": (), "Continue": (), "BoolOp": ("op", "values"), "NamedExpr": ("target", "value"),
    "BinOp": ("left", "op", "right"), "UnaryOp": ("op", "operand"), "Lambda": ("args", "body"),
    "IfExp": ("test", "body", "orelse"), "Dict": ("keys", "values"), "Set": ("elts",), "ListComp": COMPREHENSION,
    "SetComp": COMPREHENSION, "GeneratorExp": COMPREHENSION, "DictComp": ("key", "value", "generators"),
    "comprehension": ("target", "iter", "ifs", "is_async"), "Await": ("value",), "Yield": ("value",),
    "YieldFrom": ("value",), "Compare": ("left", "ops", "comparators"), "Call": ("func", "args", "keywords"),
    "keyword": ("arg", "value"), "FormattedValue": ("value", "conversion", "format_spec"), "JoinedStr": ("values",),
    "Interpolation": ("value", "str", "conversion", "format_spec"), "TemplateStr": ("values",),
    "Attribute": ("value", "attr"), "Subscript": ("value", "slice"), "Slice": ("lower", "upper", "step"),
    "Starred": ("value",), "Name": ("id",), "List": ("elts",), "Tuple": ("elts",),
    "arguments": ("posonlyargs", "args", "vararg", "kwonlyargs", "kw_defaults", "kwarg", "defaults"),
    "arg": ("arg", "annotation"), "TypeVar": NAMED, "ParamSpec": NAMED, "TypeVarTuple": NAMED}
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def digest(tree: ast.AST) -> str:
    """16 hexadecimal digits that identify the tree."""
    return hashlib.sha256(text(tree).encode()).hexdigest()[:16]


def text(tree: ast.AST) -> str:
    """The tree in one line: `Kind(field=value field=[value value])`, without fields that are None or an empty list."""
    written: list[str] = []
    left: list[object] = [tree]  # a stack, not recursion: a sum of a thousand terms is a thousand nodes deep
    while left:
        item = left.pop()
        if isinstance(item, _Mark):
            written.append(item)
        else:
            left += reversed(list(_parts(item)))
    return "".join(written)


class _Mark(str):
    """Text that is written unchanged."""

    __slots__ = ()


def _parts(item: object) -> Iterator[object]:
    """The parts of a node, a list or a plain value: marks to write, and items to expand."""
    if isinstance(item, ast.Constant):
        yield _Mark(f"Constant({_constant(item.value)})")
    elif isinstance(item, ast.AST):
        kind = type(item).__name__
        yield _Mark(f"{kind}(")
        for name in FIELDS.get(kind, item._fields if kind not in FIELDS else ()):
            value = _field(item, name)
            if value is not None and value != []:
                yield _Mark(f" {name}=")
                yield value
        yield _Mark(")")
    elif isinstance(item, list):
        yield _Mark("[")
        for one in item:
            yield _Mark(" ")
            yield one
        yield _Mark("]")
    else:
        yield _Mark(_constant(item))


def _field(node: ast.AST, name: str) -> object:
    value: object = getattr(node, name, None)
    if name == "body" and isinstance(node, DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
        return node.body[1:]
    if name == "values" and type(node).__name__ in ("JoinedStr", "TemplateStr") and isinstance(value, list):
        return list(_joined(value))
    if name == "format_spec" and isinstance(value, ast.JoinedStr) and not list(_joined(value.values)):
        return None  # `{x:}`
    return value


def _joined(values: list[ast.expr]) -> Iterator[ast.expr]:
    """The parts of an f-string, with adjacent strings joined: releases of Python split them differently."""
    words = ""
    for part in values:
        if isinstance(part, ast.Constant) and isinstance(part.value, str):
            words += part.value
            continue
        if words:
            yield ast.Constant(words)
            words = ""
        yield part
    if words:
        yield ast.Constant(words)


def _constant(value: object) -> str:
    """A plain value with its type, in ASCII."""
    if isinstance(value, str):
        return json.dumps(value)
    if isinstance(value, bytes):
        return f"bytes {value.hex()}"
    return f"{type(value).__name__} {value!r}"  # numbers, True, False, None, Ellipsis
