"""Grid files: reading, `extends`, profiles, and the check of every key and value with its file and line."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from suite.config.run_config import GROUPS, choices, field_type, fields
from suite.data import cards
from suite.errors import Problem, UserError, nearest
from suite.files.yaml import Node, load_yaml

GRIDS = Path(__file__).parents[2] / "grids"
NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,79}$"
LONGEST = 255  # bytes of a file name
JOINED = ("exclude", "overrides")  # lists that a file which extends another adds to, where others are replaced
SIZES = re.compile(r"data\..*|optim\..*|train\.(epochs|batch_size|evaluate)|model\.(layers|features)|"
                   r"ssm\.(state_size|copies)")

Settings = Annotated[dict[str, Any], Field(description="fields by dotted name (`ssm.init: lin`) or nested")]
Axes = Annotated[dict[str, Any], Field(
    description="name: [values of the field of that name], or name: {label: {field: value, …}} for named bundles")]


class Strict(BaseModel):
    """A part of the grammar: unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Exclude(Strict):
    """Leaves out the runs that match every entry of `when`, and says why."""

    when: dict[str, Any] = Field(min_length=1, description="axis: label, or field: value, or a list of them")
    because: str = Field(min_length=1, description="the reason, shown in plan and report")


class Override(Strict):
    """Settings that replace what base and axes say, in the runs that match `when` (all runs without it)."""

    when: dict[str, Any] = Field({}, description="axis: label, or field: value, or a list of them")
    set: Settings


class SeedRange(Strict):
    """Seeds 0 to range - 1."""

    range: int = Field(ge=1, le=10_000, strict=True)


class Block(Strict):
    """A sub-grid: what it names is added to, or replaces, what the grid says; the grid is the union of its blocks.

    A block may extend other grids, so that a grid can be the union of several.
    """

    base: Settings = Field({}, description="settings of every run")
    axes: Axes = Field({}, description="varied in all combinations, the last axis fastest")
    zip: Axes = Field({}, description="varied together: the first values of each, the second values of each, …")
    overrides: list[Override] = []
    exclude: list[Exclude] = []
    seeds: list[Annotated[int, Field(strict=True, ge=0, lt=2**63)]] | SeedRange = [0]
    extends: str | list[str] = Field([], description="grid files, relative to this one, merged left to right")


class Expect(Strict):
    """What the grid should cost at most on its author's machine; checked against what happened."""

    minutes: float | None = Field(None, gt=0, description="of the whole grid")
    memory_gb: float | None = Field(None, gt=0, description="of one run")


class Profile(Strict):
    """Changes the size of a grid's runs (data, epochs, layers, features, state size, optimiser), never the question."""

    about: str = ""
    overrides: list[Override] = []
    seeds: list[Annotated[int, Field(strict=True, ge=0, lt=2**63)]] | SeedRange | None = None


class GridFile(Block):
    """A grid: which runs there are. `extends` names files that this one adds to; `profiles` are overlays of its own."""

    name: str = Field(pattern=NAME, description="names the reports; letters, digits, _ . -")
    title: str = Field("", description="one line for the report")
    blocks: list[Block] = []
    expect: Expect = Expect()
    profile: str = Field("paper", description="the profile where the command line names none")
    profiles: dict[str, Profile] = {}


def read_grid(path: Path) -> Node:
    """The file with everything that it extends merged in, every key checked.

    Raises UserError with all problems of the file.
    """
    node = _extended(path, ())
    problems = [*shape_problems(node, GridFile), *_setting_problems(node)]
    for name, profile in node.value.get("profiles", Node({}, node.at)).value.items() if not problems else ():
        problems += _profile_problems(profile, f"profiles.{name}")
    if problems:
        raise UserError(sorted(problems, key=lambda p: _line(p.where)))
    return node


def read_profile(name: str, grid: Node) -> Node | None:
    """The overlay of that name: `_profiles/<name>.yaml` and the grid's own, merged. None for an empty `paper`."""
    own = grid.value.get("profiles", Node({}, grid.at)).value
    folders = {Path(grid.at.file).parent / "_profiles", GRIDS / "_profiles"}
    found = [folder / f"{name}.yaml" for folder in sorted(folders)
             if re.match(NAME, name) and (folder / f"{name}.yaml").is_file()]  # a name, and no way out of the folder
    if not found and name not in own:
        if name == "paper":
            return None
        known = {"paper", *own, *(p.stem for folder in folders for p in folder.glob("*.yaml"))}
        raise UserError(f"there is no profile {name!r}", grid.find(("profile",)).key("profile"),
                        nearest(name, sorted(known)))
    node = load_yaml(found[0]) if found else Node({}, grid.at)
    problems = [*shape_problems(node, Profile)]
    problems += _profile_problems(node, "") if not problems else []
    if problems:
        raise UserError(problems)
    return merge(node, own[name]) if name in own else node


def merge(under: Node, over: Node, key: str = "") -> Node:
    """`over` laid on `under`: mappings key by key, null removes a key or group, exclude and overrides are joined."""
    if isinstance(under.value, dict) and isinstance(over.value, dict):
        merged = dict(under.value)
        for name, node in over.value.items():
            gone = [k for k in merged if k == name or str(k).startswith(f"{name}.")] if node.value is None else []
            if gone:
                merged = {k: v for k, v in merged.items() if k not in gone}
            else:
                merged[name] = merge(merged[name], node, name) if name in merged else node
        return Node(merged, over.at)
    if key in JOINED and isinstance(under.value, list) and isinstance(over.value, list):
        return Node(under.value + over.value, over.at)
    return over


def _dotted(part: Node) -> Node:
    """A grid or block with the fields of base and bundles by their dotted names: `ssm: {init: lin}` and `ssm.init: lin`
    are one key when it is laid on another."""
    if not isinstance(part.value, dict):
        return part
    changed = {"base": _flat(part.value["base"])} if "base" in part.value else {}
    for key in {"axes", "zip"} & part.value.keys():
        axes = part.value[key]
        if isinstance(axes.value, dict):
            changed[key] = Node({name: _bundles(axis) for name, axis in axes.value.items()}, axes.at)
    blocks = part.value.get("blocks")
    if blocks is not None and isinstance(blocks.value, list):
        changed["blocks"] = Node([_dotted(block) for block in blocks.value], blocks.at)
    return Node(part.value | changed, part.at)


def _bundles(axis: Node) -> Node:
    if not isinstance(axis.value, dict):
        return axis
    return Node({label: _flat(bundle) for label, bundle in axis.value.items()}, axis.at)


def _flat(settings: Node) -> Node:
    if not isinstance(settings.value, dict):
        return settings
    found: dict[str, Node] = {}
    for key, leaf in settings.leaves():
        if key in found:
            raise UserError(f"the key {key!r} stands twice", leaf.at.key(key),
                            f"it was first given in line {found[key].at.line}")
        found[key] = leaf
    return Node(found, settings.at)


def _extended(path: Path, chain: tuple[Path, ...]) -> Node:
    node = _dotted(load_yaml(path))
    if path.resolve() in chain:
        circle = " → ".join(p.name for p in (*chain[chain.index(path.resolve()):], path))
        raise UserError(f"the grid extends itself: {circle}", str(path), "take one of these `extends` out")
    node = _with_parents(node, path, (*chain, path.resolve()))
    blocks = node.value.get("blocks")
    if blocks is None or not isinstance(blocks.value, list):
        return node
    parts = [_block(part, path, (*chain, path.resolve())) for part in blocks.value]
    return Node(node.value | {"blocks": Node(parts, blocks.at)}, node.at)


def _block(part: Node, path: Path, chain: tuple[Path, ...]) -> Node:
    """A block with what it extends merged in, of which the parts of a block count, not name, title or profiles."""
    if not isinstance(part.value, dict) or "extends" not in part.value:
        return part
    merged = _with_parents(part, path, chain)
    if "blocks" in merged.value:
        raise UserError("a grid with blocks cannot be a block of another", part.value["extends"].at.key("extends"),
                        "extend the grids that its blocks are made of")
    return Node({key: value for key, value in merged.value.items() if key in Block.model_fields or key in part.value},
                part.at)


def _with_parents(node: Node, path: Path, chain: tuple[Path, ...]) -> Node:
    """The mapping with the files that its `extends` names merged in under it; `path` is the file that it stands in."""
    parents = node.value.get("extends")
    if parents is None:
        return node
    names = parents.plain() if isinstance(parents.value, list) else [parents.plain()]
    merged = Node({}, node.at)
    for name in names:
        if not isinstance(name, str) or not name or not name.isprintable() or \
                max(map(len, name.encode().split(b"/"))) > LONGEST:
            raise UserError(f"{name!r:.80} is not a file name", parents.at.key("extends"))
        try:
            parent = _extended(path.parent / name, chain)
        except UserError as error:
            if not (path.parent / name).exists():
                raise UserError(f"the file {name!r} is not there", parents.at.key("extends"),
                                error.problems[0].fix) from None
            raise
        merged = merge(merged, parent)
    return merge(merged, Node({k: v for k, v in node.value.items() if k != "extends"}, node.at))


def shape_problems(node: Node, model: type[BaseModel]) -> Iterator[Problem]:
    """What pydantic finds wrong with a file, each with its line, key, and the names that are allowed there."""
    try:
        model.model_validate(node.plain())
    except ValidationError as error:
        # Of a union, pydantic tells what each member says: one message per place is enough.
        seen: set[tuple[Any, ...]] = set()
        for e in error.errors():
            path = tuple(part for part in e["loc"] if not _is_union_tag(part))
            if path in seen:
                continue
            seen.add(path)
            where = node.find(path).key(*path)
            if e["type"] == "extra_forbidden":
                yield _unknown_key(str(path[-1]), where, model if len(path) == 1 else _part(path))
            else:
                yield Problem(e["msg"].replace("Input should", "it should"), where, _hint(e))


def _is_union_tag(part: Any) -> bool:
    return isinstance(part, str) and (part in ("SeedRange", "str") or part.startswith(("list[", "function-")))


def _part(path: tuple[Any, ...]) -> type[BaseModel]:
    parts: dict[Any, type[BaseModel]] = {"exclude": Exclude, "overrides": Override, "blocks": Block,
                                         "expect": Expect, "profiles": Profile, "seeds": SeedRange}
    return next((parts[name] for name in reversed(path) if name in parts), GridFile)


def _unknown_key(key: str, where: str, model: type[BaseModel]) -> Problem:
    if key == "seed":
        return Problem("the seed is no setting", where, "write seeds: [0, 1, 2], or choose with --only seed=0")
    if key in fields() or key.partition(".")[0] in GROUPS:
        return Problem(f"the setting {key!r} stands outside of `base:`", where, "put it under base: (or in an axis)")
    return Problem(f"unknown key {key!r}", where, nearest(key, model.model_fields))


def _hint(error: Mapping[str, Any]) -> str:
    if error["type"] == "string_pattern_mismatch":
        return "letters, digits, _ . and - only, since it names files"
    return "" if error["type"] == "missing" else f"it is {error['input']!r}"[:200]


def _line(where: str) -> int:
    match = re.search(r":(\d+):", where)
    return int(match.group(1)) if match else 0


def _setting_problems(node: Node) -> Iterator[Problem]:
    """Problems of the settings in base and overrides of the grid and its blocks; the axes are checked when read."""
    blocks = node.value.get("blocks", Node([], node.at)).value
    for part in [node, *(blocks if isinstance(blocks, list) else [])]:
        if not isinstance(part.value, dict):
            continue
        base = part.value.get("base")
        if base and isinstance(base.value, dict):
            yield from setting_problems(base)
        yield from _override_problems(part)


def _override_problems(part: Node) -> Iterator[Problem]:
    overrides = part.value.get("overrides")
    for item in overrides.value if overrides and isinstance(overrides.value, list) else []:
        settings = item.value.get("set") if isinstance(item.value, dict) else None
        if settings and isinstance(settings.value, dict):
            yield from setting_problems(settings)


def _profile_problems(profile: Node, prefix: str) -> list[Problem]:
    problems = list(_override_problems(profile))
    for item in profile.value["overrides"].value if "overrides" in profile.value else ():
        for key, leaf in item.value["set"].leaves():
            if not SIZES.fullmatch(key):
                problems.append(Problem(f"a profile may not set {key!r}: it changes the size, never the question",
                                        leaf.at.key(prefix, key) if prefix else leaf.at.key(key),
                                        "allowed: data.*, optim.*, train.epochs, train.batch_size, train.evaluate (its "
                                        "rates go with the data), model.layers, model.features, ssm.state_size, "
                                        "ssm.copies"))
    return problems


def setting_problems(settings: Node) -> Iterator[Problem]:
    """What is wrong with a mapping of fields to values, one problem a field."""
    for key, leaf in settings.leaves():
        yield from value_problems(key, leaf)


def value_problems(key: str, leaf: Node) -> Iterator[Problem]:
    """What is wrong with `key: value`, taken alone: no such field, or a value that it cannot take."""
    where = leaf.at.key(key)
    if key == "seed":
        yield _unknown_key(key, where, GridFile)
        return
    if key not in fields():
        options = {f"data.{o}" for name in cards.names() for v in cards.load(name).variants.values() for o in v.options}
        if key not in options:
            every = [*fields(), *sorted(options)]
            group = key.partition(".")[0] + "."
            near = [name for name in every if name.startswith(group)]
            yield Problem(f"unknown field {key!r}", where, nearest(key, near or every))
        return
    try:
        field_type(key).validate_python(leaf.plain())
    except ValidationError as error:
        allowed = choices(key)
        message = error.errors()[0]["msg"].replace("Input should be", "it should be")
        if allowed:
            yield Problem(f"{leaf.plain()!r} is not allowed here", where, nearest(leaf.plain(), map(str, allowed)))
        else:
            yield Problem(f"{leaf.plain()!r} is not allowed here: {message}", where, fields()[key].description or "")
