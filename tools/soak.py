"""Soak test: kills at random times must not change results. `python tools/soak.py --kills 200`

Runs a grid undisturbed, and then again on new stores, while kill -9 is sent to the runner, the fork server or a job at
random times, until the number of kills is reached. A runner that died is started again. Fails if a run is lost, or if a
metric differs in a single bit.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from suite.grid.expand import load_grid
from suite.grid.model import Grid
from suite.store.store import Store

ROOT = Path(__file__).parents[1]
KINDS = {"job": 0.7, "fork server": 0.15, "runner": 0.15}  # probabilities of the victims
TINY = """
name: soak
base: {task: scifar, data.variant: sample, data.pool: 4, data.train_count: 400, train.epochs: 6, train.batch_size: 20,
       model.layers: 2, model.features: 16, model.dropout: 0.1, ssm.state_size: 8}
axes: {ssm.init: [lin, inv, legs], ssm.discretization: [zoh, bilinear]}
seeds: {range: 4}
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--pause", type=float, default=1.5, metavar="SECONDS", help="between two kills, on average")
    parser.add_argument("--grid", type=Path, help="default: 24 runs of some seconds each")
    parser.add_argument("--set", dest="sets", action="append", default=[], metavar="FIELD=VALUE")
    parser.add_argument("--only", action="append", default=[], metavar="AXIS=LABEL")
    parser.add_argument("--reference", type=Path, help="store of an undisturbed pass; filled if runs are missing")
    parser.add_argument("--seed", type=int, default=0, help="seed of times and victims")
    args = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        if args.grid is None:
            args.grid = Path(folder) / "soak.yaml"
            args.grid.write_text(TINY)
        grid = load_grid(args.grid, sets=args.sets, only=args.only)
        reference = args.reference or Path(folder) / "undisturbed"
        if start(args, reference).wait() != 0:
            raise SystemExit("the undisturbed pass failed")
        print(f"undisturbed: {len(grid.runs)} runs, {time.monotonic() - began:.0f} s", flush=True)
        rng, killed, bad, passes = random.Random(args.seed), Counter[str](), 0, 0
        while sum(killed.values()) < args.kills:
            passes += 1
            disturb(args, Path(folder) / f"killed{passes}", rng, killed)
            bad += compare(grid, Store(reference), Store(Path(folder) / f"killed{passes}"))
    each = ", ".join(f"{n} of a {kind}" for kind, n in sorted(killed.items()))
    print(f"{sum(killed.values())} kills ({each}) in {passes} passes of {len(grid.runs)} runs: {bad} runs lost or with "
          f"other numbers, {time.monotonic() - began:.0f} s")
    return 1 if bad else 0


def start(args: argparse.Namespace, store: Path) -> subprocess.Popen[bytes]:
    """Start a runner on the store, in the background."""
    words = [sys.executable, str(ROOT / "run_grid.py"), str(args.grid), "--store", str(store), "--out",
             str(store.parent / "reports"), "--checkpoint", "0.01"]
    words += [word for text in args.sets for word in ("--set", text)]
    words += [word for text in args.only for word in ("--only", text)]
    return subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def disturb(args: argparse.Namespace, store: Path, rng: random.Random, killed: Counter[str]) -> None:
    """Run the grid on a store to its end, with kills until there have been enough."""
    runner = start(args, store)
    while sum(killed.values()) < args.kills:
        time.sleep(rng.expovariate(1 / args.pause))
        if runner.poll() == 0:
            return
        if runner.poll() is not None:  # it gave up a run that was killed three times without progress
            runner = start(args, store)
            continue
        kind, victims = rng.choices(list(KINDS), list(KINDS.values()))[0], family(runner.pid)
        try:
            os.kill(rng.choice(victims.get(kind, [])), signal.SIGKILL)
        except (IndexError, ProcessLookupError):  # there is no such process now
            continue
        killed[kind] += 1
        if kind == "runner":
            runner.wait()
            runner = start(args, store)
    for _ in range(5):
        if runner.wait() == 0:
            return
        runner = start(args, store)


def family(runner: int) -> dict[str, list[int]]:
    """The processes of a runner that may be killed: itself, its fork server, the jobs."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if fields[0] != "Z":
                children.setdefault(int(fields[1]), []).append(int(entry.name))
    found = {"runner": [runner]}
    servers = [child for child in children.get(runner, []) if children.get(child)]
    if servers:
        found |= {"fork server": servers, "job": [job for server in servers for job in children[server]]}
    return found


def compare(grid: Grid, reference: Store, store: Store) -> int:
    """Print the outcome of a pass. Returns the number of runs that are lost or have metrics with other bits."""
    lost = [run for run in grid.runs if store.state(run.run_id).name != "done"]
    differ = [run for run in grid.runs if run not in lost
              and numbers(store, run.run_id) != numbers(reference, run.run_id)]
    attempts = sum(store.state(run.run_id).attempts for run in grid.runs)
    print(f"a pass with kills: {len(lost)} of {len(grid.runs)} runs lost, {len(differ)} with other numbers, {attempts} "
          "attempts in all", flush=True)
    return len(lost) + len(differ)


def numbers(store: Store, run_id: str) -> list[dict[str, float]]:
    """The rows of a run without their times."""
    return [{k: v for k, v in row.items() if not k.startswith("time/")} for row in store.rows(run_id)]


if __name__ == "__main__":
    raise SystemExit(main())
