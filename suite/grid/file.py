"""Grid files: reading, `extends`, and profiles. The result is one mapping with every key checked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from suite.data import cards
from suite.errors import UserError, nearest
from suite.files import resources, study
from suite.files.yaml import Node, duplicate_key, load_yaml
from suite.files.yaml_model import NAME
from suite.grid.checks import grid_problems, profile_problems
from suite.grid.grammar import Block

GRIDS = resources.folder("grids")
LONGEST = 255  # bytes of a file name
JOINED = ("exclude", "overrides")  # a file that extends another adds to these lists, and replaces other lists


def read_grid(path: Path) -> Node:
    """The file, merged with everything that it extends, with every key checked.

    Its study and those of the grids that it extends are added to the known ones, so that it can name their modules and
    cards. Raises UserError with all problems of the file.
    """
    node = _extended(path, ())
    others = sorted(_files_of(node) - {path})
    if study.add(folder for file in (path, *others) for folder in study.with_examples(file)):
        cards.load.cache_clear()  # a card of this study may have the name of an earlier one
    if problems := grid_problems(node):
        raise UserError(problems)
    return node


def _files_of(node: Node) -> set[Path]:
    """The files that a grid was read from: its own, and those that it extends."""
    inner = node.value.values() if isinstance(node.value, dict) else node.value if isinstance(node.value, list) else ()
    return {Path(node.at.file)}.union(*(_files_of(one) for one in inner))


def read_profile(name: str, grid: Node) -> Node | None:
    """The profile of that name: `_profiles/<name>.yaml` merged with the grid's own. None for `paper` if neither exists.

    A file beside the grid takes precedence over one of the suite. Raises UserError if there is no such profile, and
    with all problems of its file.
    """
    own: Mapping[str, Node] = grid.get("profiles", {})
    folders = (Path(grid.at.file).parent / "_profiles", GRIDS / "_profiles")
    found = [folder / f"{name}.yaml" for folder in folders
             if re.match(NAME, name) and (folder / f"{name}.yaml").is_file()]  # a name cannot leave the folder
    if not found and name not in own:
        if name == "paper":
            return None
        known = {"paper", *own, *(p.stem for folder in folders for p in folder.glob("*.yaml"))}
        raise UserError(f"there is no profile {name!r}", grid.find(("profile",)).key("profile"),
                        nearest(name, sorted(known)))
    node = load_yaml(found[0]) if found else Node({}, grid.at)
    if problems := profile_problems(node):
        raise UserError(problems)
    return merge(node, own[name]) if name in own else node


def merge(under: Node, over: Node, key: str = "") -> Node:
    """`under` updated by `over`. Mappings are merged by key, null removes a key or group, JOINED lists are joined."""
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
    """A grid or block with dotted names for the fields in base and bundles, so that `ssm: {init: lin}` and
    `ssm.init: lin` are the same key when files are merged."""
    if not isinstance(part.value, dict):
        return part
    changed = {"base": _flat(part.value["base"])} if "base" in part.value else {}
    for key in {"axes", "zip"} & part.value.keys():
        axes = part.value[key]
        changed[key] = Node(list(map(_flat_axes, axes.value)), axes.at) if isinstance(axes.value, list) \
            else _flat_axes(axes)
    blocks = part.value.get("blocks")
    if blocks is not None and isinstance(blocks.value, list):
        changed["blocks"] = Node([_dotted(block) for block in blocks.value], blocks.at)
    return Node(part.value | changed, part.at)


def _flat_axes(axes: Node) -> Node:
    if not isinstance(axes.value, dict):
        return axes
    return Node({name: _bundles(axis) for name, axis in axes.value.items()}, axes.at)


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
            raise UserError([duplicate_key(key, leaf.at, found[key].at)])
        found[key] = leaf
    return Node(found, settings.at)


def _extended(path: Path, chain: tuple[Path, ...]) -> Node:
    node = _dotted(load_yaml(path))
    if path.resolve() in chain:
        circle = " → ".join(p.name for p in (*chain[chain.index(path.resolve()):], path))
        raise UserError(f"the grid extends itself: {circle}", str(path), "remove one of these `extends`")
    node = _with_parents(node, path, (*chain, path.resolve()))
    blocks = node.value.get("blocks")
    if blocks is None or not isinstance(blocks.value, list):
        return node
    parts = [_block(part, path, (*chain, path.resolve())) for part in blocks.value]
    return Node(node.value | {"blocks": Node(parts, blocks.at)}, node.at)


def _block(part: Node, path: Path, chain: tuple[Path, ...]) -> Node:
    """A block merged with what it extends. Only the keys of a block count, not a file's name, title or profiles."""
    if not isinstance(part.value, dict) or "extends" not in part.value:
        return part
    merged = _with_parents(part, path, chain)
    if "blocks" in merged.value:
        raise UserError("a grid that has blocks cannot be a block of another", part.value["extends"].at.key("extends"),
                        "extend the grids that its blocks extend")
    return Node({key: value for key, value in merged.value.items() if key in Block.model_fields or key in part.value},
                part.at)


def _with_parents(node: Node, path: Path, chain: tuple[Path, ...]) -> Node:
    """The files named by `extends`, merged and then updated by the mapping. `path` is the file of the mapping."""
    parents = node.value.get("extends")
    if parents is None:
        return node
    names = parents.plain() if isinstance(parents.value, list) else [parents.plain()]
    merged = Node({}, node.at)
    for name in names:
        if not isinstance(name, str) or not name or not name.isprintable() or \
                max(map(len, name.encode().split(b"/"))) > LONGEST:
            raise UserError(f"{name!r:.80} is not a valid file name", parents.at.key("extends"))
        file = path.parent / resources.grid_path(Path(name), GRIDS, parents.at.key("extends"))
        try:
            parent = _extended(file, chain)
        except UserError as error:
            if not file.exists():
                fix = f"extends: suite:{name}" if (GRIDS / name).is_file() else error.problems[0].fix
                raise UserError(f"file not found: {name!r}", parents.at.key("extends"), fix) from None
            raise
        merged = merge(merged, parent)
    return merge(merged, Node({k: v for k, v in node.value.items() if k != "extends"}, node.at))
