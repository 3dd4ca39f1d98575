"""The transcript in docs/cluster.md: its commands are run on a SLURM, and what they print replaces the blocks there.

    make transcript

Each block is between `<!-- transcript NAME -->` and the end of its fence. `…` marks what is left out of it.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/cluster.md"
WIDTH, LIMIT_S = 110, 900.0
SC = "grids/quickstart.yaml --only task=SC"
JOBS = "--executor slurm --time 30 --runs-per-job 5"
SEEDS = f"{SC} --only method=S4D-Lin --seeds 6"
SHORTER = ((r"(in job \d+_\d+); .*", r"\1; …"), (r"/\S+/slurm_script", "…/slurm_script"), (r"\S*/(runs/slurm/)", r"\1"),
           (r"( were not started): .*", r"\1: …"), (r"(Speech Commands.*|reference .*)", "…"))


class Scene:
    """A folder with the grids and an empty store, in which commands are typed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("run_grid.py", "grids"):
            (folder / name).symlink_to(ROOT / name)

    def begin(self, command: str) -> subprocess.Popen[str]:
        """Start a command; `python` is the Python of this process."""
        words = [sys.executable, "-u", *shlex.split(command)[1:]] if command.startswith("python ") else \
            shlex.split(command)
        return subprocess.Popen(words, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True)

    def typed(self, command: str, *keep: str, most: int = 99) -> str:
        """The command and what it prints: of each pattern in `keep`, the first `most` lines that match; else all."""
        return shown(command, self.begin(command).communicate(timeout=LIMIT_S)[0], keep, most)

    def until(self, true: Callable[[list[dict[str, str]]], bool], grid: str = SC) -> list[dict[str, str]]:
        """Wait until something holds for the runs of `status`, which are returned."""
        end = time.monotonic() + LIMIT_S
        while True:
            text = self.begin(f"python run_grid.py status {grid} --json").communicate(timeout=LIMIT_S)[0]
            runs: list[dict[str, str]] = json.loads(text[text.index("{"):])["runs"]
            if true(runs):
                return runs
            if time.monotonic() > end:
                raise SystemExit(f"the runs are still: {[run['state'] for run in runs]}")
            time.sleep(0.5)


def shown(command: str, output: str, keep: tuple[str, ...], most: int = 99) -> str:
    """A command and the lines of its output to keep, broken and shortened as the page has them."""
    counts, lines = dict.fromkeys(keep, 0), list[str]()
    for line in output.rstrip().splitlines():
        pattern = next((one for one in keep if re.search(one, line) and counts[one] < most), None)
        if keep and pattern is None:
            lines += ["…"] if "…" not in lines[-1:] else []
            continue
        if pattern is not None:
            counts[pattern] += 1
        for before, after in SHORTER:
            line = re.sub(before, after, line)
        lines += broken(line.rstrip(), "      ")
    first = " \\\n".join(broken(f"$ {command}", "      "))
    return "\n".join([first, *lines]).replace(os.uname().nodename, "node1")


def broken(line: str, indent: str) -> list[str]:
    """The line in parts that fit on the page."""
    if len(line) <= WIDTH + 10:
        return [line]
    return textwrap.wrap(line, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False,
                         drop_whitespace=True)


def count(runs: list[dict[str, str]], state: str) -> int:
    """How many runs are in a state."""
    return sum(run["state"] == state for run in runs)


def blocks(scene: Scene) -> Iterator[tuple[str, str]]:
    """The blocks of the page in order, each with its name."""
    status = f"python run_grid.py status {SC}"
    first = scene.typed(f"python run_grid.py run {SC} {JOBS} --setup 'module load cuda/99'")
    while subprocess.run(["squeue", "-h"], capture_output=True, text=True, check=True).stdout:
        time.sleep(0.5)
    yield "mistake", "\n\n".join([first, scene.typed(status, "runs:", "start failed", "canary"),
                                  scene.typed(f"python run_grid.py logs {SC} S4D-Lin", most=6)])
    again = scene.typed(f"python run_grid.py run {SC} {JOBS}", "submitted", "jobs run")
    scene.until(lambda runs: count(runs, "claimed") > 0)
    yield "again", "\n\n".join([again, scene.typed("squeue -o '%i %j %T %M'"),
                                scene.typed(status, "runs:", "claimed", "Dependency", most=1)])
    scene.until(lambda runs: count(runs, "done") > 0 and count(runs, "claimed") > 2)
    watch = scene.begin(f"{status} --watch")
    time.sleep(4)
    watch.send_signal(signal.SIGINT)
    seen = watch.communicate(timeout=LIMIT_S)[0]
    yield "watch", shown(f"{status} --watch </dev/null", seen, ("terminal", "runs:", "claimed ", "comes later"), 1)
    yield "cancel", "\n\n".join([
        scene.typed(f"python run_grid.py cancel {SC}"), scene.typed(status, "runs:", "cancelled ", most=1),
        scene.typed(f"python run_grid.py retry {SC} --reason cancelled {JOBS} --wait", r"\[1[34]/14\]")])
    text, run_id = killed(scene, f"python run_grid.py run {SEEDS} --executor slurm --wait --checkpoint 0.05")
    yield "kill", text
    yield "why", scene.typed(f"python run_grid.py why {SEEDS} S4D-Lin", "^task", run_id)


def killed(scene: Scene, command: str) -> tuple[str, str]:
    """What a command prints while the shell of a job, once it has computed two epochs, is killed; the id of its run."""
    waiting = scene.begin(command)
    runs = scene.until(lambda runs: any(run["state"] == "claimed" and int(run["epochs"]) > 1 for run in runs), SEEDS)
    run = next(run for run in runs if run["state"] == "claimed" and int(run["epochs"]) > 1)
    pid = int(re.search(r"process (\d+)", run["detail"])[1])  # type: ignore[index]
    shell = re.search(r"SUITE_SHELL=(\d+)", Path(f"/proc/{pid}/environ").read_text())
    os.kill(int(shell[1]), signal.SIGKILL)  # type: ignore[index]
    output = waiting.communicate(timeout=LIMIT_S)[0]
    table = ("^method", "validation accuracy, %", "----", "S4D-Lin  ")
    return shown(command, output, ("submitted", "^0/3", "killed", r"\[3/3\]", *table), 3), run["id"]


def main() -> None:
    """Run the commands and rewrite the page."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # in the background it may be ignored
    page = PAGE.read_text()
    with tempfile.TemporaryDirectory() as folder:
        for name, text in blocks(Scene(Path(folder))):
            print(text, end="\n\n", flush=True)
            page, found = re.subn(rf"(<!-- transcript {name} -->\n\n```text\n).*?(\n```\n)",
                                  lambda match, text=text: match[1] + text + match[2], page, flags=re.DOTALL)
            assert found == 1, f"{PAGE}: a block {name} is missing"
    PAGE.write_text(page)


if __name__ == "__main__":
    main()
