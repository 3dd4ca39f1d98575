"""From a grid file to its runs: profile, axes, overrides, `--set`, rules, exclusions, seeds, `--only`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path

from pydantic import ValidationError

from suite.config import own_data
from suite.config.own import named
from suite.config.own import names as own_names
from suite.config.rules import Rule, violations
from suite.config.run_config import GROUPS, RunConfig, is_argument, is_field
from suite.config.signature import of_file, unknown
from suite.errors import Problem, Problems, UserError, nearest
from suite.files import resources, study
from suite.files.validation import message
from suite.files.yaml import Node
from suite.grid.axes import Block, read_block, when_problems
from suite.grid.combinations import KERNEL_LENGTH, Combination, combinations
from suite.grid.command_line import CommandLine
from suite.grid.file import GRIDS, merge, read_grid, read_profile
from suite.grid.grammar import Expect
from suite.grid.model import Excluded, Grid, GridRun
from suite.grid.own_arguments import NOT_TAKEN, owner_of

LARGEST = 20_000  # combinations times seeds of a grid: a typing error is reported at once, not after minutes


def load_grid(path: Path, profile: str | None = None, sets: Iterable[str] = (), only: Iterable[str] = (),
              seeds: int | None = None) -> Grid:
    """Read a grid file, or a grid of the suite (`suite:NAME`), and expand it.

    `sets` and `only` are the `field=value` and `axis=label` texts of the command line. `seeds` is a number of seeds,
    0 to `seeds` - 1, that replaces the grid's list.
    Raises UserError with every problem of the file at once.
    """
    path = resources.grid_path(path, GRIDS)
    node = read_grid(path)
    usual = str(node.get("profile", "paper"))
    profile = profile or usual
    overlay = read_profile(profile, node)
    command = CommandLine.read(sets, only, seeds)
    blocks = _read_blocks(node, overlay, command)
    _check_size(blocks, node)
    expansions = _expand(blocks, command, profile)
    _check_modules([run.config for one in expansions for run in one.runs], path)
    axes = _with_not_taken(_labels(blocks), expansions)
    chosen, left_out = command.choose(_merged(expansions), axes)
    replaced = [(key, old) for one in expansions for key, old in one.resized if old.at.file == node.at.file]
    return Grid(name=node.get("name"), title=node.get("title", ""), path=path, profile=profile, runs=chosen,
                excluded=tuple(out for one in expansions for out in one.excluded), axes=axes, left_out=left_out,
                seeds=tuple(dict.fromkeys(seed for block in blocks for seed in block.seeds)),
                expect=Expect.model_validate(Node(node.get("expect", {}), node.at).plain()), changes=command.changes,
                resized=tuple(dict.fromkeys(old.at.key(key) for key, old in replaced)), zipped=_zipped(blocks),
                usual_profile=usual, places={key: at for one in reversed(expansions) for key, at in one.places.items()})


def _check_modules(configs: Iterable[RunConfig], path: Path) -> None:
    """Raises UserError if a module of the grid's study is hidden by another module of that name."""
    names = {value for config in configs for value in (*own_names([config]),
                                                       *own_data.functions(config.data, config.task)) if ":" in value}
    for module in sorted({name.partition(":")[0] for name in names}):
        if other := study.hidden(module, study.of_grid(path)):
            raise UserError(f"the module {module!r} of this study is hidden by {other}", str(path),
                            "rename it, or name the grids of one study at a time")


def _read_blocks(grid: Node, overlay: Node | None, command: CommandLine) -> list[Block]:
    """The blocks of a grid, or the grid itself as its only block. Raises UserError with all their problems."""
    common = Node({key: node for key, node in grid.value.items()
                  if key in ("base", "axes", "zip", "ablate", "overrides", "exclude", "seeds")}, grid.at)
    if overlay is not None and "seeds" in overlay.value:
        common = merge(common, Node({"seeds": overlay.value["seeds"]}, grid.at))
    seeds = {} if command.seeds is None else {"seeds": Node({"range": Node(command.seeds, grid.at)}, grid.at)}
    problems = Problems()  # a problem that all blocks inherit is reported once
    parts = [_with_nearest_seeds(part, common) for part in grid.get("blocks") or [Node({}, grid.at)]]
    named = common.value.get("seeds")
    if named is not None and named.at.file == grid.at.file and all("seeds" in part.value for part in parts):
        problems.add(Problem("each block has its own seeds, so these have no effect",
                             named.at.key("seeds"), "leave them out, or change those of the blocks"))
    blocks = [read_block(Node(merge(common, part).value | seeds, part.at), command.sets, overlay, problems)
              for part in parts]
    axes = _labels(blocks)
    problems.add(*(problem for block in blocks for when in block.whens for problem in when_problems(when, axes)))
    problems.raise_if_any()
    return blocks


def _with_nearest_seeds(block: Node, grid: Node) -> Node:
    """The block without the seeds that it inherits by `extends`, if the grid has seeds: these take precedence."""
    inherited = "seeds" in block.value and block.value["seeds"].at.file != block.at.file
    if not inherited or "seeds" not in grid.value:
        return block
    return Node({key: value for key, value in block.value.items() if key != "seeds"}, block.at)


def _labels(blocks: Iterable[Block]) -> dict[str, list[str]]:
    """The labels of each axis in order, over all blocks."""
    labels: defaultdict[str, dict[str, None]] = defaultdict(dict)  # sets that keep the order
    for block in blocks:
        for name, values in block.axes.items():
            labels[name].update(dict.fromkeys(value.label for value in values))
    return {name: list(found) for name, found in labels.items()}


def _zipped(blocks: Iterable[Block]) -> dict[tuple[str, ...], int]:
    """The axes that vary together, over all blocks, with their number of steps."""
    steps: defaultdict[tuple[str, ...], set[tuple[str, ...]]] = defaultdict(set)
    for column in (column for block in blocks for column in block.columns if len(column.names) > 1):
        steps[column.names].update(tuple(value.label for value in step) for step in column.steps)
    return {names: len(found) for names, found in steps.items()}


def _with_not_taken(axes: dict[str, list[str]], expansions: Iterable[Expansion]) -> dict[str, list[str]]:
    """The labels of the axes, with NOT_TAKEN added if a row does not take the argument of that axis."""
    found = {name for one in expansions for labels in (*(run.labels for run in one.runs),
                                                       *(out.labels for out in one.excluded))
             for name, label in labels.items() if label == NOT_TAKEN}
    return {name: [*labels, *([NOT_TAKEN] if name in found and NOT_TAKEN not in labels else [])]
            for name, labels in axes.items()}


def _check_size(blocks: Iterable[Block], grid: Node) -> None:
    """Raises UserError if the grid has more than LARGEST runs."""
    count = sum(block.size for block in blocks)
    if count > LARGEST:
        raise UserError(f"the grid expands to {count:,} runs; the limit is {LARGEST:,}", str(grid.at),
                        "remove values or seeds, or split it into several grids")


def _expand(blocks: Iterable[Block], command: CommandLine, profile: str) -> list[Expansion]:
    """The expansion of each block. Raises UserError with the problems of all of them."""
    problems = Problems()
    expansions = [Expansion(block, command, profile, problems) for block in blocks]
    taken = {key for one in expansions for key in one.taken}
    for key, node in {key: node for one in expansions for key, node in one.left_out.items()}.items():
        if key not in taken:
            problems.add(_taken_by_none(key, node, expansions))
    problems.raise_if_any()
    return expansions


def _taken_by_none(key: str, node: Node, expansions: Iterable[Expansion]) -> Problem:
    """The problem to report for an argument that no row takes."""
    field = owner_of(key)
    own = {name for one in expansions for (name, known), at in one.places.items() if not known and field in at}
    takes = [f"{name} takes {', '.join(found.arguments(field)) or 'no argument'}" for name in sorted(own)
             if (found := of_file(name)) is not None]
    known = [arg for name in sorted(own) if (found := of_file(name)) is not None for arg in found.arguments(field)]
    guess = nearest(key.rpartition(".")[2], known).partition("allowed:")[0]
    return Problem(f"no row takes {key}", node.at.key(key),
                   guess + ("; ".join(takes) or f"no row names code of yours in {field}"))


def _merged(expansions: Iterable[Expansion]) -> Iterable[GridRun]:
    """The runs of all blocks. A run that several blocks have under the same labels is listed once."""
    return {(run.run_id, *run.labels.items()): run for one in expansions for run in one.runs}.values()


class Expansion:
    """The runs of one block, and the combinations that it leaves out. Errors are added to `problems`."""

    def __init__(self, block: Block, command: CommandLine, profile: str, problems: Problems) -> None:
        self.block, self.command, self.profile, self.problems = block, command, profile, problems
        self.runs: list[GridRun] = []
        self.excluded: list[Excluded] = []
        self.places: dict[tuple[str, str], str] = {}
        self.taken: set[str] = set()  # arguments of user code that a row takes
        self.left_out: dict[str, Node] = {}  # arguments that a row does not take
        self._replaced: list[Mapping[str, Node]] = []
        self._left: defaultdict[str, set[str]] = defaultdict(set)  # by axis, the labels that have a run or a mistake
        self._first_to_compute: dict[tuple[str, ...], GridRun] = {}
        self._first_of_run: dict[str, Combination] = {}
        for combination in combinations(block, command):
            self._add(combination)
        self._check_that_every_value_has_a_run()

    @property
    def resized(self) -> Iterator[tuple[str, Node]]:
        """The settings that the profile replaced."""
        for replaced in self._replaced:
            yield from ((key, node) for key, node in replaced.items() if key not in self.command.sets)

    def _add(self, one: Combination) -> None:
        if not self._takes_its_arguments(one):
            return
        if one.replaced:
            self._replaced.append(one.replaced)
        if one.cut is not None:
            self._refuse_cut(one, one.cut)
        config = self._configured(one)
        broken = violations(config) if config else []
        if config is None or self._is_mistaken(one, config, broken):
            self._leave(one)  # its problem is reported; else a value without runs would report it again
        elif reason := self._excluded_because(one, config, broken) or self._twin(one, config):
            self.excluded.append(Excluded(one.labels, reason))
        else:
            self._leave(one)
            self._check_that_sizes_make_no_run_of_two(one, config)
            self._remember_places(one, config)
            self.runs += (GridRun(run, run.run_id, one.labels) for run in map(config.with_seed, self.block.seeds))

    def _takes_its_arguments(self, one: Combination) -> bool:
        """Whether the combination is valid and new: no argument is misplaced, and it does not repeat an earlier one."""
        self.taken.update(filter(is_argument, one.settings))
        self.left_out |= one.left_out
        for key in one.misplaced:
            field = owner_of(key)
            name = one.settings[field].value
            signature = of_file(name)
            if signature is not None:
                problem = unknown(name, field, key.rpartition(".")[2], signature)
                self._refuse_at(one.left_out[key], key, problem)
            self._leave(one)
        return not one.is_repeated and not one.misplaced

    def _refuse_at(self, node: Node, key: str, problem: Problem) -> None:
        self.problems.add(Problem(problem.what, node.at.key(key), problem.fix))

    def _refuse_cut(self, one: Combination, length: Node) -> None:
        cuts = length.plain() is not None
        what = f"the profile {self.profile} cuts the kernel of {one.name}, which the grid does not cut" if cuts else \
            f"the profile {self.profile} does not cut the kernel of {one.name}, which the grid cuts"
        self.problems.add(Problem(what, length.at.key(KERNEL_LENGTH), "a profile may change how a cut kernel is cut: "
                                  f"{{when: {{{KERNEL_LENGTH}: <that of the grid>}}, set: {{{KERNEL_LENGTH}: …}}}}"))

    def _remember_places(self, one: Combination, config: RunConfig) -> None:
        """Keep the places where the grid names user code, for errors that appear only when it is imported."""
        for own in named(config):
            if own.field in one.settings:
                self.places.setdefault((own.name, ""), one.settings[own.field].at.key(own.field))
            for key in (key for key in one.settings if is_argument(key) and owner_of(key) == own.field):
                self.places.setdefault((own.name, key), one.settings[key].at.key(key))

    def _leave(self, one: Combination) -> None:
        for axis, label in one.labels.items():
            self._left[axis].add(label)

    def _configured(self, one: Combination) -> RunConfig | None:
        """The configuration of a combination. None, and a problem, if a value is invalid or the task is missing."""
        try:
            return RunConfig.build({key: node.plain() for key, node in one.settings.items()})
        except ValidationError as error:
            for e in error.errors():
                key = ".".join(map(str, e["loc"]))
                fix = "name the task in `base:` or in an axis" if key == "task" else ""
                self._refuse(one, f"{key}: {message(e)}", [key], fix)
        except UserError as error:
            for problem in error.problems:
                self._refuse(one, problem.what, [problem.where, "data.variant", "data.name", "task"], problem.fix)
        return None

    def _is_mistaken(self, one: Combination, config: RunConfig, broken: Iterable[Rule]) -> bool:
        """Whether a broken rule is a mistake. Only the first mistake is reported: others may follow from it."""
        mistake = next((rule for rule in broken if rule.mistake), None)
        if mistake:
            values = ", ".join(f"{key} is {config.get(key)}" for key in mistake.fields)
            self._refuse(one, mistake.because, mistake.fields, f"in {one.name}: {values}")
        return mistake is not None

    def _excluded_because(self, one: Combination, config: RunConfig, broken: Iterable[Rule]) -> str:
        """Why rules and `exclude` leave a combination out. "" if they do not."""
        reasons = [rule.because for rule in broken]
        reasons += [exclusion.because for exclusion in self.block.exclusions
                    if exclusion.when.matches(one.labels, partial(_value, config))]
        return "; ".join(reasons)

    def _twin(self, one: Combination, config: RunConfig) -> str:
        """Why a combination is left out as the twin of an earlier one that computes the same. "" if it has no twin."""
        first = self._first_to_compute.setdefault(_computed(config), GridRun(config, config.run_id, one.labels))
        if first.run_id == config.run_id:
            return ""
        return f"{config.model.name} has no ssm settings: the same model as {' '.join(first.labels.values())}"

    def _check_that_sizes_make_no_run_of_two(self, one: Combination, config: RunConfig) -> None:
        first = self._first_of_run.setdefault(config.run_id, one)
        self.problems.add(*_made_equal(first, one, self.command, self.profile))

    def _check_that_every_value_has_a_run(self) -> None:
        """Add a problem for each value that has no run: the author cannot have meant that."""
        for axis, values in self.block.axes.items():
            for value in values:
                if value.label not in self._left[axis] and not (
                        value.settings and value.settings.keys() <= self.left_out.keys()):
                    reasons = dict.fromkeys(out.reason for out in self.excluded if out.labels[axis] == value.label)
                    self.problems.add(Problem(f"every run of {value.label!r} is excluded: {'; '.join(reasons)}",
                                              value.at.key("axes", axis, value.label),
                                              "fix the combination or remove the value"))
        if not self.block.axes and self.excluded:
            self.problems.add(Problem(f"the only run is excluded: {self.excluded[0].reason}", str(self.block.at)))

    def _refuse(self, one: Combination, what: str, keys: Iterable[str], fix: str) -> None:
        """Add a problem at the first of the keys that the grid sets, or else at the block."""
        at = next((one.settings[key].at.key(key) for key in keys if key in one.settings),
                  f"{self.block.at} ({one.name})")
        self.problems.add(Problem(what, at, fix))


def _made_equal(one: Combination, other: Combination, command: CommandLine, profile: str) -> Iterator[Problem]:
    """Problems of settings of profile or command line that make two combinations the same run."""
    for key in dict.fromkeys([*one.replaced, *other.replaced]) if one is not other else ():
        values = [replaced[key] for replaced in (one.replaced, other.replaced) if key in replaced]
        if len(values) == 2 and values[0].plain() == values[1].plain():
            continue
        if key in command.sets:
            yield Problem(f"this setting makes {one.name} and {other.name} the same run", str(command.sets[key].at),
                          "choose one of them with --only")
        else:
            yield Problem(f"the profile {profile} sets {key}, which makes {one.name} and {other.name} the same run",
                          values[-1].at.key(key), f"make {key} an axis, or add to the profile in the grid: "
                          f"profiles: {{{profile}: {{overrides: [{{when: …, set: {{{key}: …}}}}]}}}}")


def _computed(config: RunConfig) -> tuple[str, ...]:
    """A key of what a configuration computes. `ssm` settings count only if the model can read them."""
    takes = config.model.name == "ssm" or config.model.is_custom  # a user's factory may read them
    groups = [name for name in GROUPS if name != "ssm" or takes]
    return config.task, config.kind, *(getattr(config, name).canonical for name in groups)


def _value(config: RunConfig, key: str) -> object:
    """The value of a field or of an option of the data set. None if the name is unknown."""
    group, _, name = key.partition(".")
    if is_field(key):
        return config.get(key)
    return config.data.options.get(name) if group == "data" else None
