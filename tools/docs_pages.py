"""The generated parts of the documentation: Markdown made from parsers, models, kept results and the code.

A page has `<!-- insert: NAME -->` in the place of the part NAME of `PARTS`. `tools/docs_hooks.py` inserts the parts
when the site is built.
"""

from __future__ import annotations

import argparse
import html
import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import docs_kernels
from street import levels, read_street

from suite.cli.arguments import make_parser
from suite.config.run_config import fields
from suite.grid import grammar
from suite.grid.schema import grid_schema
from suite.report.records import ReportRecord, read_record
from suite.report.statistics.looks import Looks
from suite.store.store import Store

ROOT = Path(__file__).parents[1]
KEPT = ROOT / "results"
MARK = re.compile(r"^<!-- insert: ([\w-]+) -->$", re.MULTILINE)


def filled_in(markdown: str) -> str:
    """A page with its generated parts inserted. Raises KeyError if there is no part of that name."""
    return MARK.sub(lambda found: PARTS[found[1]](), markdown)


def table(heads: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """A Markdown table. The content of cells is Markdown."""
    lines = [list(heads), ["---"] * len(list(heads)), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|").replace("\n", " ") for cell in line) + " |"
                     for line in lines)


def code(text: object) -> str:
    """A text as code. An empty text remains empty."""
    return f"`{text}`" if str(text) else ""


def command_line() -> str:
    """Every command with its arguments and options, from the parsers."""
    _, verbs = make_parser()
    parts = []
    for name, parser in verbs.items():
        shown = [action for action in parser._actions if action.help != argparse.SUPPRESS and action.dest != "help"]
        rows = [(_flags(action), html.escape(_help(parser, action), quote=False)) for action in shown]
        parts.append(f"## {name}\n\n{_sentence(parser.description or '')}\n\n{table(('option', 'meaning'), rows)}\n")
        if parser.epilog:
            parts.append(f"{html.escape(parser.epilog, quote=False)}\n")
    return "\n".join(parts)


def _flags(action: argparse.Action) -> str:
    value = action.metavar or (action.choices and "{" + ",".join(map(str, action.choices)) + "}") or ""
    value = value if isinstance(value, str) else " ".join(value)
    takes = action.nargs != 0
    names = [f"{flag} {value}".strip() if takes else flag for flag in action.option_strings] or [value or action.dest]
    return ", ".join(map(code, names))


def _help(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    return parser._get_formatter()._expand_help(action) if action.help else ""


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")


def grid_fields() -> str:
    """Every field of a run, by group, from the models."""
    properties = grid_schema()["$defs"]["Settings"]["properties"]
    infos = fields()
    groups: dict[str, list[tuple[str, str, str, str]]] = {}
    for name, schema in properties.items():
        group = name.partition(".")[0] if "." in name else "run"
        if schema.get("type") == "object" and name in properties and "." not in name or name.endswith("_source"):
            continue
        default = "" if name not in infos or infos[name].is_required() else _plain(infos[name].default)
        about = html.escape(schema.get("description", ""), quote=False)
        groups.setdefault(group, []).append((code(name), _values(schema), code(default), about))
    return "\n\n".join(f"## {name if name == 'run' else name + '.'}\n\n"
                       + table(("field", "values", "default", "meaning"), rows) for name, rows in groups.items())


def _plain(value: object) -> str:
    return "" if value is None else json.dumps(value, ensure_ascii=False, default=str).strip('"')


def _values(schema: Mapping[str, Any]) -> str:
    if "enum" in schema:
        return ", ".join(code(_plain(value)) for value in schema["enum"])
    if "anyOf" in schema:
        return ", ".join(dict.fromkeys(filter(None, (_values(part) for part in schema["anyOf"]))))
    if "pattern" in schema:
        return code("module:name") if ":" in schema["pattern"] else "text"
    names = {"boolean": "`true`, `false`", "integer": "whole number", "number": "number", "string": "text",
             "array": "list", "object": "mapping", "null": ""}
    kind = schema.get("type", "")
    return " or ".join(names[one] for one in kind) if isinstance(kind, list) else names.get(kind, "")


def grid_keys() -> str:
    """The keys of a grid file and of its parts, from the grammar."""
    parts = []
    for model in (grammar.GridFile, grammar.Exclude, grammar.Override, grammar.Ablate, grammar.Profile, grammar.Expect):
        rows = [(code(name), code(_default(info)), html.escape(info.description or "", quote=False))
                for name, info in model.model_fields.items()]
        about = (model.__doc__ or "").strip().splitlines()[0]
        parts.append(f"## {model.__name__}\n\n{about}\n\n{table(('key', 'default', 'meaning'), rows)}")
    return "\n\n".join(parts)


def _default(info: Any) -> str:
    if info.is_required():
        return "must be given"
    value = info.default
    return "" if value in ("", None) or not isinstance(value, str | int | float | list) else _plain(value)


def street() -> str:
    """The packages in order, the packages that each uses, and their size."""
    found = read_street()
    packages = found.packages
    heights = levels(packages)
    rows = []
    for name in sorted(packages, key=lambda one: (-heights[one], one)):
        mine = [module for module in found.lines if module.startswith(f"suite.{name}.") or module == f"suite.{name}"]
        if (ROOT / "suite" / name).is_dir():
            rows.append((heights[name], code(f"suite/{name}"), " ".join(sorted(packages[name])), len(mine),
                         f"{sum(found.lines[module] for module in mine):,}"))
    return table(("level", "package", "uses", "modules", "lines"), rows)


@cache
def kept() -> dict[str, tuple[ReportRecord, ...]]:
    """The records of every kept report, by its name."""
    return {folder.name: tuple(read_record(ReportRecord, path.read_bytes())
                               for path in sorted((folder / "report").glob("*.cells.json")))
            for folder in sorted(KEPT.iterdir()) if (folder / "report").is_dir()}


def kept_results() -> str:
    """One row for each kept result: runs, hours, devices, verdicts, and its page."""
    rows = []
    for name, records in kept().items():
        words: dict[str, int] = {}
        for record in records:
            for claim in record.claims:
                word = claim.verdict if isinstance(claim.verdict, str) else str(claim.verdict)
                words[word] = words.get(word, 0) + 1
        runs, hours, devices = _cost(Store(KEPT / name / "store"))
        title = (KEPT / name / "report" / f"{records[0].grid}.md").read_text(encoding="utf-8").splitlines()[0][2:]
        rows.append((f"[{title}](gallery/{name}/index.html)", runs, f"{hours:.1f}", ", ".join(devices),
                     ", ".join(f"{count} {word}" for word, count in words.items()) or "none asked"))
    return table(("kept result", "runs", "hours", "computed on", "claims"), rows)


def _cost(store: Store) -> tuple[int, float, list[str]]:
    """Number of runs, total hours of all attempts, and devices."""
    records = [record for run_id in store.run_ids() if (record := store.provenance(run_id))]
    hours = sum(attempt.wall_s or 0.0 for record in records for attempt in record.attempts) / 3600
    return len(records), hours, sorted({str(record.environment.get("device", "")) for record in records})


def against() -> str:
    """Every kept cell beside the published number."""
    rows = []
    for name, records in kept().items():
        for record in records:
            for cell in record.cells:
                rows += [(name, cell.row, cell.text, published.text if hasattr(published, "text") else published.value,
                          published.verdict) for published in cell.published]
    return table(("kept result", "row", "ours", "published", "verdict"), rows)


def error_rates() -> str:
    """The kept output of `tools/simulate_verdicts.py`."""
    return error_tables((ROOT / "docs/error-rates.txt").read_text(encoding="utf-8"))


def error_tables(text: str) -> str:
    """The output of `tools/simulate_verdicts.py` as two tables, and the number of experiments."""
    decided, once, last = (part.splitlines() for part in text.strip().split("\n\n"))
    rounds = re.match(r"rounds (\d+), seed (\d+)", last[0])
    rows = [_columns(line, r"(.*?) {2,}(\S+) +([\d.]+) +([\d.]+) {2}(.*?);") for line in decided[1:]]
    first = [(name, _percent(found), _percent(false), runs, target if target == "met" else f"missed: {target}")
             for name, found, false, runs, target in rows]
    second = [(name, _percent(false), _percent(power)) for name, false, power in
              (_columns(line, r"(.*?) {2,}([\d.]+) +([\d.]+)$") for line in once[1:])]
    assert rounds, last
    error = 100 * math.sqrt(0.05 * 0.95 / int(rounds[1]))
    return "\n\n".join([
        table(("scenario", "all real effects found", "any false verdict", "runs on average", "target"), first),
        table(("tested once, at three seeds", "any false verdict", "a difference of 3 points found"), second),
        f"{int(rounds[1]):,} experiments for each row: a share of 5 % has a standard error of {error:.1f} points."])


def _columns(line: str, pattern: str) -> tuple[str, ...]:
    found = re.match(pattern, line)
    assert found, line
    return found.groups()


def _percent(share: str) -> str:
    return share if share == "–" else f"{100 * float(share):.1f} %"


def look_levels() -> str:
    """The significance level of each look of the declared plan, for a single claim."""
    plan = Looks(3, 10)
    return table(["seeds", *map(str, plan.seeds)], [["level", *(f"{level:.4f}" for level in plan.levels(0.05))]])


def kernel_speed() -> str:
    """When and on which machine the kernels were measured."""
    return docs_kernels.conditions()


def changelog() -> str:
    """The changelog of the repository, without its title."""
    return (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").partition("\n")[2]


def open_questions() -> str:
    """The table of questions that the paper leaves open."""
    text = (ROOT / "grids/AMBIGUITIES.md").read_text(encoding="utf-8")
    return text[text.index("| |"):]


PARTS: Mapping[str, Callable[[], str]] = {
    "command-line": command_line, "grid-fields": grid_fields, "grid-keys": grid_keys, "street": street,
    "kept-results": kept_results, "against": against, "error-rates": error_rates, "look-levels": look_levels,
    "kernel-speed": kernel_speed, "changelog": changelog, "open-questions": open_questions}
