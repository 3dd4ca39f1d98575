"""From a grid file to its runs: profile, axes, overrides, `--set`, rules, exclusions, seeds, `--only`."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from suite.config.rules import violations
from suite.config.run_config import GROUPS, RunConfig, fields
from suite.errors import Problem, UserError
from suite.files.yaml import Node, Where, parse_yaml
from suite.grid.axes import Block, When, as_field, read_block, when_problems
from suite.grid.file import Expect, merge, read_grid, read_profile, value_problems
from suite.grid.model import Excluded, Grid, GridRun
from suite.grid.only import chosen_runs, is_one_of, wanted_values

LARGEST = 20_000  # combinations times seeds of a grid: a slip of the pen is told at once, instead of after minutes


def load_grid(path: Path, profile: str | None = None, sets: Iterable[str] = (), only: Iterable[str] = ()) -> Grid:
    """The grid in a file, expanded. `sets` and `only` are `field=value` and `axis=label` texts of the command line.

    Raises UserError with every problem of the file at once.
    """
    node = read_grid(path)
    profile = profile or node.value.get("profile", Node("paper", node.at)).value
    overlay = read_profile(profile, node)
    if overlay is not None and "seeds" in overlay.value:
        node = merge(node, Node({"seeds": overlay.value["seeds"]}, node.at))
    parts = node.value.get("blocks", Node([], node.at)).value or [Node({}, node.at)]
    whole = Node({k: v for k, v in node.value.items() if k in ("base", "axes", "zip", "overrides", "exclude", "seeds")},
                 node.at)
    last = _settings_of_command_line(sets)
    wanted = wanted_values(only)
    blocks = [read_block(merge(whole, part), last, overlay) for part in parts]
    axes = {name: list(dict.fromkeys(v.label for b in blocks for v in b.axes.get(name, ())))
            for name in dict.fromkeys(name for b in blocks for name in b.axes)}
    problems = [p for block in blocks for p in block.problems]
    problems += [p for block in blocks for when in block.whens for p in when_problems(when, axes)]
    if problems:
        raise UserError({str(p): p for p in problems}.values())  # what all blocks inherit is told once
    count = sum(math.prod(len(steps) for _, steps in block.columns) * len(block.seeds) for block in blocks)
    if count > LARGEST:
        raise UserError(f"the grid asks for {count:,} runs, and {LARGEST:,} are the most", str(node.at),
                        "take values or seeds out, or make several grids of it")
    runs, excluded, lost = _expand(blocks, last, wanted, profile)
    chosen, left_out = chosen_runs(runs, wanted, axes)
    return Grid(name=node.value["name"].value, title=node.value.get("title", Node("", node.at)).value, path=path,
                profile=profile, runs=chosen, excluded=excluded, axes=axes, left_out=left_out,
                seeds=tuple(dict.fromkeys(seed for b in blocks for seed in b.seeds)),
                expect=Expect.model_validate(node.value["expect"].plain() if "expect" in node.value else {}),
                changes=(*(f"--set {text}" for text in sets), *(f"--only {text}" for text in only)),
                resized=tuple(dict.fromkeys(node.at.key(key) for key, node in lost if node.at.file == str(path))))


def _settings_of_command_line(sets: Iterable[str]) -> dict[str, Node]:
    settings: dict[str, Node] = {}
    problems: list[Problem] = []
    for text in sets:
        key, equals, value = text.partition("=")
        at = Where(f"--set {text}")
        if not equals or not key.strip():
            problems.append(Problem("it must read field=value", str(at)))
            continue
        leaf = Node(parse_yaml(f"value: {value}", str(at)).value["value"].value, at)
        problems += value_problems(key.strip(), leaf)
        settings[key.strip()] = leaf
    if problems:
        raise UserError(problems)
    return settings


def _matches(when: Mapping[str, When], labels: Mapping[str, str], value: Callable[[str], Any]) -> bool:
    return all(labels.get(key) in wanted.labels or wanted.holds(value(key)) for key, wanted in when.items())


def _asked(nodes: Mapping[str, Node], key: str) -> Any:
    """A field's value in a combination whose configuration is not made yet."""
    if key in nodes:
        return as_field(key, nodes[key].plain())
    return fields()[key].default if key in fields() else None


def _held(config: RunConfig, key: str) -> Any:
    group, _, name = key.partition(".")
    return config.data.options.get(name) if group == "data" and key not in fields() else \
        config.get(key) if key in fields() else None


def _expand(blocks: list[Block], last: Mapping[str, Node], wanted: Mapping[str, list[str]],
            profile: str) -> tuple[list[GridRun], tuple[Excluded, ...], list[tuple[str, Node]]]:
    """Runs, exclusions, and the settings that the profile replaced."""
    runs: dict[tuple[str, tuple[tuple[str, str], ...]], GridRun] = {}
    replaced: list[tuple[str, Node]] = []
    excluded: list[Excluded] = []
    problems: dict[str, Problem] = {}
    for block in blocks:
        left_out: list[Excluded] = []
        alive: set[tuple[str, str]] = set()
        firsts: dict[tuple[str, ...], tuple[str, dict[str, str]]] = {}
        sized: dict[str, tuple[dict[str, str], dict[str, Node]]] = {}
        for labels, nodes, lost in _combinations(block, last, wanted):
            replaced += ((key, node) for key, node in lost.items() if key not in last)
            config, reason = _configure(labels, nodes, block, problems)
            if config and not reason:
                run_id, first = firsts.setdefault(_computed(config), (config.run_id, labels))
                if run_id != config.run_id:
                    twin = " ".join(first.values())
                    reason = f"{config.model.name} takes no setting of ssm: the same model as {twin}"
            if config is None:
                alive |= set(labels.items())  # a mistake is told once, not again as an empty axis
            elif reason:
                left_out.append(Excluded(labels, reason))
            else:
                alive |= set(labels.items())
                other = sized.setdefault(config.run_id, (labels, lost))
                problems |= {str(p): p for p in _made_equal(other, (labels, lost), last, profile)}
                for seed in block.seeds:
                    run = config.with_seed(seed)
                    runs[run.run_id, tuple(labels.items())] = GridRun(run, run.run_id, labels)
        for problem in _emptied(block, alive, left_out):
            problems[str(problem)] = problem
        excluded += left_out
    if problems:
        raise UserError(problems.values())
    return list(runs.values()), tuple(excluded), replaced


def _combinations(block: Block, last: Mapping[str, Node], wanted: Mapping[str, list[str]],
                  ) -> Iterator[tuple[dict[str, str], dict[str, Node], dict[str, Node]]]:
    """Labels, settings, and what profile and `--set` replaced, of each combination. `--set` leaves alone those that
    `--only` rules out: a variant of one task's data is no mistake in the others."""
    for steps in itertools.product(*(steps for _, steps in block.columns)):
        labels: dict[str, str] = {}
        nodes = dict(block.base)
        for (names, _), step in zip(block.columns, steps, strict=True):
            for name, value in zip(names, step, strict=True):
                labels[name] = value.label
                nodes.update(value.settings)
        for when, settings in block.overrides:
            if _matches(when, labels, partial(_asked, nodes)):
                nodes.update(settings)
        before = dict(nodes)
        _size(block, labels, nodes)
        if all(is_one_of(values, key, labels, nodes[key].value if key in nodes else None)
               for key, values in wanted.items() if key not in last and (key in labels or key in nodes)):
            nodes.update(last)
        yield labels, nodes, {k: n for k, n in before.items() if n is not nodes[k] and n.plain() != nodes[k].plain()}


def _size(block: Block, labels: Mapping[str, str], nodes: dict[str, Node]) -> None:
    """Lays the profile on the settings, but for fields that are an axis: to vary a size is a question."""
    for when, settings in block.sizes:
        if _matches(when, labels, partial(_asked, nodes)):
            nodes.update({k: n for k, n in settings.items() if k not in labels})


def _made_equal(one: tuple[dict[str, str], dict[str, Node]], other: tuple[dict[str, str], dict[str, Node]],
                last: Mapping[str, Node], profile: str) -> Iterator[Problem]:
    """Two combinations (labels, and what was replaced) that are one run since that is what they differ in."""
    for key in one[1].keys() | other[1].keys():
        values = [lost[key] for _, lost in (one, other) if key in lost]
        if len(values) == 2 and values[0].plain() == values[1].plain():
            continue
        both = f"makes one run of {_told(one[0])} and of {_told(other[0])}"
        if key in last:
            yield Problem(f"this {both}", str(last[key].at), "choose one of them with --only")
        else:
            yield Problem(f"the profile {profile} sets {key}, and so {both}", values[-1].at.key(key),
                          f"make {key} an axis, or add to the profile in the grid: "
                          f"profiles: {{{profile}: {{overrides: [{{when: …, set: {{{key}: …}}}}]}}}}")


def _configure(labels: dict[str, str], nodes: dict[str, Node], block: Block,
               problems: dict[str, Problem]) -> tuple[RunConfig | None, str]:
    """The configuration of a combination (None where it holds a mistake) and why it is excluded, or ''."""
    def told(what: str, keys: Iterable[str], fix: str = "") -> None:
        at = next((nodes[k].at.key(k) for k in keys if k in nodes), f"{block.at} ({_told(labels)})")
        problem = Problem(what, at, fix)
        problems.setdefault(str(problem), problem)

    try:
        config = RunConfig.build({k: n.plain() for k, n in nodes.items() if k != "seed"})
    except ValidationError as error:
        for e in error.errors():
            key = ".".join(map(str, e["loc"]))
            told(f"{key}: {e['msg']}", [key], "name the task in base: or in an axis" if key == "task" else "")
        return None, ""
    except UserError as error:
        for problem in error.problems:
            told(problem.what, [problem.where, "data.variant", "data.name", "task"], problem.fix)
        return None, ""
    broken = violations(config)
    for rule in broken:
        if rule.mistake:
            values = ", ".join(f"{key} is {config.get(key)}" for key in rule.fields)
            told(rule.because, rule.fields, f"in {_told(labels)}: {values}")
            return None, ""
    reasons = [rule.because for rule in broken]
    reasons += [because for when, because in block.excludes if _matches(when, labels, partial(_held, config))]
    return config, "; ".join(reasons)


def _computed(config: RunConfig) -> tuple[str, ...]:
    """Names what a configuration computes: the settings of a state space do nothing in the suite's other models."""
    takes = config.model.name == "ssm" or ":" in config.model.name  # a user's factory may read them
    groups = [name for name in GROUPS if name != "ssm" or takes]
    return config.task, config.kind, *(getattr(config, name).canonical for name in groups)


def _told(labels: Mapping[str, str]) -> str:
    return ", ".join(f"{axis} {label}" for axis, label in labels.items()) or "the only run"


def _emptied(block: Block, alive: set[tuple[str, str]], left_out: list[Excluded]) -> Iterator[Problem]:
    """Values of which nothing is left: a slip of the author, never what was meant."""
    for axis, values in block.axes.items():
        for value in values:
            if (axis, value.label) not in alive:
                reasons = dict.fromkeys(e.reason for e in left_out if e.labels.get(axis) == value.label)
                yield Problem(f"every run of {value.label!r} is excluded: {'; '.join(reasons)}",
                              value.at.key("axes", axis, value.label), "mend the combination, or take the value out")
    if not block.axes and left_out:
        yield Problem(f"the only run is excluded: {left_out[0].reason}", str(block.at))
