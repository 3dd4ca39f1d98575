"""Kills at random moments, and what is left of the numbers: `python tests/soak.py --kills 20`.

Runs a grid twice: undisturbed, and with kill -9 sent to the runner, the fork server or a job at random moments, the
runner being started again each time it died. Fails where a run is lost, or where a metric differs in a single bit.
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

from suite.grid import Grid, load_grid
from suite.store import Store

ROOT = Path(__file__).parents[1]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--grid", type=Path, default=ROOT / "grids/quickstart.yaml")
    parser.add_argument("--set", dest="sets", action="append", default=[], metavar="FIELD=VALUE")
    parser.add_argument("--only", action="append", default=[], metavar="AXIS=LABEL")
    parser.add_argument("--reference", type=Path, help="store of an undisturbed pass, filled where it is not")
    parser.add_argument("--seed", type=int, default=0, help="of the moments and victims")
    args = parser.parse_args()
    grid = load_grid(args.grid, sets=args.sets, only=args.only)
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        reference = args.reference or Path(folder) / "undisturbed"
        if start(args, reference).wait() != 0:
            raise SystemExit("the undisturbed pass failed")
        # The reference may have been there before: what its runs took, and not what this start took, is the time.
        seconds = sum(value for run in grid.runs for row in Store(reference).rows(run.run_id)
                      for name, value in row.items() if name.startswith("time/")) / len(os.sched_getaffinity(0))
        print(f"undisturbed: {len(grid.runs)} runs, {seconds:.0f} s", flush=True)
        killed = disturb(args, Path(folder) / "killed", max(5.0, seconds))
        return compare(grid, Store(reference), Store(Path(folder) / "killed"), killed)


def start(args: argparse.Namespace, store: Path) -> subprocess.Popen[bytes]:
    """A runner on the store, in the background."""
    words = [sys.executable, str(ROOT / "run_grid.py"), str(args.grid), "--store", str(store), "--out",
             str(store.parent / "reports"), "--checkpoint", "0.05"]
    words += [word for text in args.sets for word in ("--set", text)]
    words += [word for text in args.only for word in ("--only", text)]
    return subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def disturb(args: argparse.Namespace, store: Path, seconds: float) -> Counter[str]:
    """Runs the grid to its end, with the kills spread over about the time of an undisturbed pass."""
    rng = random.Random(args.seed)
    killed: Counter[str] = Counter()
    runner = start(args, store)
    pause = max(seconds / args.kills, 1.0)
    while sum(killed.values()) < args.kills:
        time.sleep(rng.uniform(0.5, 1.5) * pause)
        victims = family(runner.pid)
        if runner.poll() is not None:  # done before all kills were spent: the rest has nothing to disturb
            break
        kind = rng.choice(sorted(victims))
        os.kill(rng.choice(victims[kind]), signal.SIGKILL)
        killed[kind] += 1
        if kind == "runner":
            runner.wait()
            runner = start(args, store)
    for _ in range(3):  # a run that was killed thrice without progress is left to the next start
        if runner.wait() == 0:
            break
        runner = start(args, store)
    return killed


def family(runner: int) -> dict[str, list[int]]:
    """The processes below a runner that may be killed: itself, its fork server, the jobs."""
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


def compare(grid: Grid, reference: Store, store: Store, killed: Counter[str]) -> int:
    """Prints the verdict: runs lost, and metrics that are not the same to the last bit (times aside)."""
    lost = [run for run in grid.runs if store.state(run.run_id).name != "done"]
    differ = [run for run in grid.runs if run not in lost
              and numbers(store, run.run_id) != numbers(reference, run.run_id)]
    attempts = sum(store.state(run.run_id).attempts for run in grid.runs)
    told = ", ".join(f"{n} of the {kind}" for kind, n in sorted(killed.items()))
    print(f"{sum(killed.values())} kills ({told}): {len(lost)} of {len(grid.runs)} runs lost, {len(differ)} with other "
          f"numbers, {attempts} attempts in all")
    return 1 if lost or differ else 0


def numbers(store: Store, run_id: str) -> list[dict[str, float]]:
    """The rows of a run without their times."""
    return [{k: v for k, v in row.items() if not k.startswith("time/")} for row in store.rows(run_id)]


if __name__ == "__main__":
    raise SystemExit(main())
