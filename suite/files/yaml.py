"""YAML files, read with the place of every key and value, so that each error can name file and line.

Plain scalars follow YAML 1.2: `1e-3` is a number. `on`, `off`, `yes` and `no` are rejected, since YAML 1.1 silently
makes them true and false. Tags, duplicate keys, NaN and alias bombs are rejected, too.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from suite.errors import Problem, Problems, UserError

LARGEST, DEEPEST = 50_000, 50  # nodes with aliases expanded, and depth: far above any real grid, far below a YAML bomb
TAG = "tag:yaml.org,2002:"
USUAL = {TAG + kind for kind in ("map", "seq", "str", "int", "float", "bool", "null", "timestamp", "merge", "value")}
INT = re.compile(r"[-+]?(0|[1-9][0-9_]*)")
FLOAT = re.compile(r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
ODD_FLOAT = re.compile(r"[-+]?\.?(inf|nan)", re.IGNORECASE)
SPACES = re.compile(r"[ \u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]+")
ODD_BOOL = {"on", "off", "yes", "no"}


@dataclass(frozen=True)
class Where:
    """A place in a file (`line` counts from 1), or on the command line (`line` 0)."""

    file: str
    line: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file

    def key(self, *path: object) -> str:
        """This place followed by a dotted key."""
        dotted = ".".join(str(part) for part in path)
        return f"{self}: {dotted}" if dotted else str(self)


@dataclass(frozen=True)
class Node:
    """A value with its place. `value` is a dict of Nodes, a list of Nodes, or a scalar; `at` is the key's line."""

    value: Any
    at: Where

    def get(self, key: str, default: Any = None) -> Any:
        """The value of a key. The default if the mapping lacks it, or if this is not a mapping."""
        return self.value[key].value if isinstance(self.value, dict) and key in self.value else default

    def plain(self) -> Any:
        """The value as plain Python objects, without places."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value

    def child(self, part: object) -> Node | None:
        """The node below a key or list index. None if it does not exist."""
        if isinstance(self.value, dict):
            found: Node | None = self.value.get(part)
            return found
        is_index = isinstance(self.value, list) and isinstance(part, int) and part < len(self.value)
        return self.value[part] if is_index else None

    def find(self, path: Iterable[object]) -> Where:
        """The place of the deepest existing node along `path`. Parts that do not exist are skipped."""
        node = self
        for part in path:
            node = node.child(part) or node
        return node.at

    def leaves(self, prefix: str = "") -> Iterator[tuple[str, Node]]:
        """The leaves of nested mappings, by dotted name. An empty mapping is a leaf."""
        for key, node in self.value.items():
            if isinstance(node.value, dict) and node.value:
                yield from node.leaves(f"{prefix}{key}.")
            else:
                yield f"{prefix}{key}", node


def duplicate_key(key: str, at: Where, first: Where) -> Problem:
    """The problem to report for a key that occurs twice in a mapping."""
    return Problem(f"duplicate key {key!r} (first defined on line {first.line})", str(at))


def one_form(text: str) -> str:
    """A name in normal form (Unicode NFC, single spaces, stripped), so that names that look the same are equal."""
    return SPACES.sub(" ", unicodedata.normalize("NFC", text)).strip(" ")


def load_yaml(path: Path) -> Node:
    """Read a YAML file of one document, a mapping. Raises UserError with every problem of the text."""
    try:
        text = path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        near = sorted(p.name for p in path.parent.glob("*.y*ml")) if path.parent.is_dir() else []
        there = f"YAML files in {path.parent}: {', '.join(near)}" if near else f"no YAML file in {path.parent}"
        raise UserError("no such file", str(path), there) from None
    except IsADirectoryError:
        raise UserError("this is a folder, not a YAML file", str(path)) from None
    except PermissionError:
        raise UserError("permission denied", str(path), "check the permissions of the file") from None
    except UnicodeDecodeError as error:
        raise UserError(f"the file is not UTF-8 text (byte {error.start})", str(path)) from None
    except (OSError, ValueError) as error:  # an invalid file name, a failing disk
        what = error.strerror if isinstance(error, OSError) else str(error)
        raise UserError(f"the file cannot be read: {what}", repr(str(path))[:200]) from None
    return parse_yaml(text, shown(path))


def shown(path: Path) -> str:
    """The path as a user would write it: relative if the file is below the current folder."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def parse_yaml(text: str, name: str) -> Node:
    """Parse a mapping. `name` is the file's name in errors. Raises UserError with every problem of the text."""
    if "\t" in text:
        tab = next((i for i, line in enumerate(text.splitlines(), 1) if re.match(r" *\t", line) and line.strip()), 0)
        if tab:
            raise UserError("tab in the indentation", str(Where(name, tab)), "indent with spaces")
    kind = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        _check_size(yaml.parse(text, kind), name)
        root = kind(text).get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 0
        what = " ".join(filter(None, (error.context, error.problem)))
        raise UserError(f"not YAML: {what}", str(Where(name, line))) from None
    except yaml.YAMLError as error:
        raise UserError(f"not YAML: {error}".splitlines()[0], name) from None
    except UnicodeEncodeError:
        raise UserError("not YAML: it is not UTF-8 text", name) from None
    if root is None:
        raise UserError("the file is empty", name)
    reader = _Reader(name)
    node = reader.read(root, 0)
    reader.problems.raise_if_any()
    if not isinstance(node.value, dict):
        raise UserError("the file must contain a mapping (`key: value` lines)", str(node.at))
    return node


@dataclass(frozen=True)
class _Open:
    """A mapping or list that is still being read: its anchor, and the number of nodes before it."""

    anchor: str | None
    before: int


def _check_size(events: Iterator[Any], name: str) -> None:
    """Raises UserError for a text with too many or too deep nodes: the composer recurses in C, and aliases multiply."""
    count = 0
    open_nodes: list[_Open] = []
    sizes: dict[str | None, int] = {}  # nodes below each anchor
    for event in events:
        if isinstance(event, yaml.AliasEvent):
            if any(node.anchor == event.anchor for node in open_nodes):
                raise UserError(f"the alias *{event.anchor} refers to itself", _place(name, event))
            count += sizes.get(event.anchor, 1)
        elif isinstance(event, yaml.NodeEvent):
            count += 1
            if isinstance(event, yaml.CollectionStartEvent):
                open_nodes.append(_Open(event.anchor, count - 1))
                if len(open_nodes) > DEEPEST:
                    raise UserError("nested too deeply", _place(name, event))
        elif isinstance(event, yaml.CollectionEndEvent):
            closed = open_nodes.pop()
            sizes[closed.anchor] = count - closed.before
        if count > LARGEST:
            raise UserError(f"more than {LARGEST:,} values once aliases are expanded", _place(name, event))


def _place(name: str, event: Any) -> str:
    return str(Where(name, event.start_mark.line + 1))


class _Reader:
    """Converts the nodes of PyYAML to `Node`, and collects all problems."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.problems = Problems()

    def read(self, node: yaml.Node, line: int, depth: int = 0) -> Node:
        at = Where(self.name, line or node.start_mark.line + 1)
        if depth > DEEPEST:  # of aliases within aliases
            self.problems.add(Problem("nested too deeply", str(at)))
            self.problems.raise_if_any()
        if isinstance(node, yaml.MappingNode):
            return Node(self.mapping(node, depth) if self.usual(node, at) else {}, at)
        if isinstance(node, yaml.SequenceNode):
            return Node([self.read(v, 0, depth + 1) for v in node.value] if self.usual(node, at) else [], at)
        return Node(self.scalar(node, at) if self.usual(node, at) else None, at)

    def usual(self, node: yaml.Node, at: Where) -> bool:
        if node.tag in USUAL:
            return True
        tag = node.tag.replace(TAG, "!!")
        self.problems.add(Problem(f"the tag {tag} is not allowed", str(at), "remove it: only plain values are read"))
        return False

    def mapping(self, node: yaml.MappingNode, depth: int) -> dict[str, Node]:
        merged: dict[str, Node] = {}
        own: dict[str, Node] = {}
        merges: list[Where] = []
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if key_node.tag == TAG + "merge":
                if merges:
                    self.problems.add(duplicate_key("<<", Where(self.name, line), merges[0]))
                merges.append(Where(self.name, line))
                for part in value_node.value if isinstance(value_node, yaml.SequenceNode) else [value_node]:
                    read = self.read(part, 0, depth + 1).value
                    merged = (read if isinstance(read, dict) else {}) | merged
                continue
            key = self.key(key_node, Where(self.name, line))
            if key in own:
                self.problems.add(duplicate_key(key, Where(self.name, line), own[key].at))
            own[key] = self.read(value_node, line, depth + 1)
        return merged | own

    def key(self, node: yaml.Node, at: Where) -> str:
        if not isinstance(node, yaml.ScalarNode):
            self.problems.add(Problem("a key must be a plain word", str(at), "quote it if it contains [ ] or { }"))
            return ""
        if not getattr(node, "style", None) and str(node.value).lower() in ODD_BOOL:
            self.scalar(node, at)
        return one_form(str(node.value))

    def scalar(self, node: yaml.Node, at: Where) -> Any:
        text = str(node.value)
        if getattr(node, "style", None):  # quoted, or a block of text
            return text
        if text.lower() in ODD_BOOL:
            self.problems.add(Problem(f"`{text}` is ambiguous: YAML 1.1 reads it as true or false", str(at),
                                      f'write true or false; for the word itself, write "{text}" in quotes'))
            return None
        if ODD_FLOAT.fullmatch(text) or (FLOAT.fullmatch(text) and abs(float(text)) == float("inf")):
            self.problems.add(Problem(f"`{text}` is not a finite number", str(at)))
            return None
        if text in ("", "~", "null", "Null", "NULL"):
            return None
        if text.lower() in ("true", "false"):
            return text.lower() == "true"
        if INT.fullmatch(text) and len(text) < 40:
            return int(text.replace("_", ""))
        return float(text) if FLOAT.fullmatch(text) else text
