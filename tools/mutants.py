"""Fuzzing of grid files: `python tools/mutants.py --count 10000` mutates the real grids at random and runs each mutant.

Fails if one gives a traceback, takes more than a second of CPU time, or starts a job in spite of an error.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import random
import re
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path
from typing import Any

import yaml

from suite.cli import main as command_line
from suite.cli import run
from suite.launch import local

ROOT = Path(__file__).parents[1]
SLOW_S = 1.0
NASTY = (None, True, False, 0, -1, 1, 10**30, -0.0, 1e308, 1e-320, "", " ", "off", "1e-3", "../../../etc/passwd",
         "é\u202e", "x" * 5000, "a\nb", "{{7*7}}", "%s%n", "\\input{x}", "<b>", ".x:f", "os:system", "nowhere:f",
         "sys:modules", [], {}, [[]], [1, "a"], {"a": {"b": {}}}, "=1", "S4D-Lin", "paper", "mini", [0, 0], 2**63,
         {"range": 10_000}, {"range": 0}, "&a", "*a", "null", "~")
LINES = ("extends: NAME", "extends: [quickstart.yaml, ../grids/quickstart.yaml]", "b: &b [*b]", "<<: {name: x}",
         "a: !!python/object/apply:os.abort []", "seeds: {range: 10000}", "profile: ../../x", "blocks: [{}, {}]",
         "zip: {seed: [1, 2]}", "exclude: [{when: {}, because: x}]", "\tx: 1", "--- ", "...", "? [a]", "name: ../x",
         "axes: {optim.lr: [1e-3, 1e400]}", "overrides: [{set: {ssm: {init: lin}}}]", "profiles: {x: {}}")


def mutate(text: str, rng: random.Random, name: str) -> bytes:
    """The text of a grid with one to five random changes, to the text or to the tree."""
    for _ in range(rng.choice((1, 1, 1, 2, 3, 5))):
        if rng.random() < 0.5:
            with contextlib.suppress(yaml.YAMLError, ValueError, RecursionError):
                tree = yaml.safe_load(text)
                change_tree(tree, rng)
                text = yaml.safe_dump(tree, sort_keys=False, allow_unicode=True)
                continue
        text = change_text(text, rng, name)
    data = text.encode("utf-8", "surrogatepass")
    if rng.random() < 0.03:
        place = rng.randrange(len(data) + 1)
        data = data[:place] + rng.randbytes(rng.randrange(1, 4)) + data[place:]
    return data


def change_tree(tree: Any, rng: random.Random) -> None:
    """Change, remove, duplicate, rename or move a random value."""
    places = list(walk(tree))
    if not places:
        return
    parent, key = rng.choice(places)
    kind = rng.randrange(6)
    if kind == 0:
        parent[key] = rng.choice(NASTY)
    elif kind == 1:
        del parent[key]
    elif kind == 2:
        other, there = rng.choice(places)
        parent[key] = other[there]
    elif kind == 3 and isinstance(parent, dict):
        parent[rng.choice([str(k) for p, k in places] + ["", "x.y", "ssm", "seed", "data.x", "1"])] = parent.pop(key)
    elif kind == 4 and isinstance(parent[key], list):
        parent[key] = parent[key] * rng.choice((0, 2, 3))
    elif isinstance(parent[key], int | float) and not isinstance(parent[key], bool):
        parent[key] = parent[key] * rng.choice((-1, 0.5, 1.5, 10, 1000)) + rng.choice((0, 1))
    else:
        parent[key] = [parent[key]]


def walk(tree: Any) -> Any:
    """Every value of a tree, as container and key. Each container is visited once, so that cycles end."""
    seen, left = set(), [tree]
    while left:
        node = left.pop()
        if id(node) in seen or not isinstance(node, dict | list):
            continue
        seen.add(id(node))
        for key in list(node) if isinstance(node, dict) else range(len(node)):
            yield node, key
            left.append(node[key])


def change_text(text: str, rng: random.Random, name: str) -> str:
    """Remove, duplicate, swap or damage a random line, word or character."""
    lines = text.split("\n")
    i, j = rng.randrange(len(lines)), rng.randrange(len(lines))
    kind = rng.randrange(8)
    if kind == 0:
        del lines[i]
    elif kind == 1:
        lines.insert(j, lines[i])
    elif kind == 2:
        lines[i] = " " * rng.randrange(9) + lines[i].lstrip()
    elif kind == 3:
        lines.insert(i, rng.choice(LINES).replace("NAME", name))
    elif kind == 4:
        lines[i], lines[j] = lines[j], lines[i]
    elif kind == 5:
        words = re.findall(r"[\w.+-]+", text)
        lines[i] = re.sub(r"[\w.+-]+", lambda match: rng.choice([*words, match[0]]), lines[i], count=1)
    elif kind == 6:
        return text[:rng.randrange(len(text) + 1)]
    else:
        place = rng.randrange(len(text) + 1)
        return text[:place] + rng.choice("{}[]:,-?&*!|>'\"%@`#\t\n\r\x00\ud800é0.~") + text[place + rng.randrange(2):]
    return "\n".join(lines)


class Runs:
    """Runs `run` on grid files. Starting jobs is replaced by counting them, and no reports are written."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.launched = folder, 0
        self.counts: Counter[str] = Counter()
        self.slowest = 0.0

    def launch(self, runs: Any, options: Any, listener: Any, training: Any = None) -> dict[str, Any]:
        """Replaces the launch of the local executor."""
        self.launched += len(runs)
        return {}

    def run(self, path: Path) -> str:
        """What is wrong with how the command line handles the file. "" if nothing is."""
        before, out, err, began = self.launched, io.StringIO(), io.StringIO(), time.process_time()
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                code = command_line.main(["run", str(path), "--store", str(self.folder / "store"),
                                          "--out", str(self.folder)])
        except BaseException:  # noqa: BLE001 - every error is reported
            return traceback.format_exc()
        seconds = time.process_time() - began
        self.slowest = max(self.slowest, seconds)
        errors = err.getvalue()
        self.counts["refused" if code == command_line.USAGE else "accepted"] += 1
        refused = code == command_line.USAGE
        if code not in (command_line.OK, command_line.USAGE) or refused != errors.startswith("error: "):
            return f"exit code {code}: {errors}"
        if refused and self.launched > before:
            return f"started {self.launched - before} jobs in spite of an error"
        if "Traceback" in errors or seconds > SLOW_S:
            return f"{seconds:.1f} s of CPU time, and printed: {errors[:500]}"
        return ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="folder for the mutants that fail")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        bad, runs = try_all(Path(folder), args.count, args.seed, args.keep)
    counts = ", ".join(f"{n} {what}" for what, n in sorted(runs.counts.items()))
    print(f"{args.count} mutated grids: {counts}; {bad} failed; the slowest took {runs.slowest:.2f} s")
    return 1 if bad else 0


def try_all(folder: Path, count: int, seed: int, keep: Path | None = None) -> tuple[int, Runs]:
    """Try `count` mutants of all real grids in turn. Failures are printed. Returns their number, and the runs."""
    rng, runs, bad = random.Random(seed), Runs(folder), 0
    grids = sorted((ROOT / "grids").glob("*.yaml"))
    for path in [*grids, ROOT / "grids/_profiles", ROOT / "grids/_base"]:
        (folder / path.name).symlink_to(path)
    before = run._write_report, run.check_data, local.launch
    run._write_report, run.check_data = (lambda grids, store, out: None), (lambda *_: None)  # no data are needed
    local.launch = runs.launch
    try:
        for number in range(count):
            source = grids[number % len(grids)]
            mutant = folder / "mutant.yaml"
            mutant.write_bytes(mutate(source.read_text(encoding="utf-8"), rng, source.name))
            problem = runs.run(mutant)
            if problem:
                bad += 1
                print(f"mutant {number} of {source.name}: {problem}", file=sys.stderr, flush=True)
                if keep:
                    keep.mkdir(exist_ok=True)
                    (keep / f"{number}.yaml").write_bytes(mutant.read_bytes())
    finally:
        run._write_report, run.check_data, local.launch = before
    return bad, runs


if __name__ == "__main__":
    raise SystemExit(main())
