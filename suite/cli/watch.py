"""`status --watch` on a terminal: a live table of the runs, with keys to sort it and to open a log. Writes nothing.

`suite.cli.snapshot` decides how often the files are read.
"""

from __future__ import annotations

import math
import os
import select
import signal
import sys
import termios
import tty
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import TracebackType

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from suite.cli.snapshot import Snapshot, Snapshots, lines
from suite.grid.model import GridRun
from suite.job.stop import Stop
from suite.plan.estimate import clock, left
from suite.store.state import RunState, State
from suite.store.store import Store

TICK_S = 1.0  # seconds between two updates
TAIL = 65_536  # bytes of a log that are read
HELP = "s sort by next column   r reverse   ↑ ↓ select   l or Enter open log   q quit"
LOG_HELP = "q back to table"
STYLES = {State.CLAIMED: "cyan", State.DONE: "green", State.FAILED: "red", State.LOST: "red", State.TODO: "dim"}
ORDER = (State.CLAIMED, State.FAILED, State.LOST, State.UNKNOWN, State.PARTIAL, State.CANCELLED, State.DONE, State.TODO)
KEYS = {"\x1b[A": "up", "\x1b[B": "down", "\x1bOA": "up", "\x1bOB": "down", "k": "up", "j": "down", "\n": "log",
        "\r": "log", "l": "log", "s": "sort", "r": "reverse", "q": "quit", "\x1b": "quit"}


@dataclass(frozen=True)
class Line:
    """A run as a row of the table. `place`: its position in the grid. A smaller `newest_value` or `best_value` is
    better."""

    run: GridRun
    state: RunState
    metric: str
    best: str
    newest_value: float
    best_value: float
    speed: float | None
    left: float | None
    device: str
    owner: str
    place: int

    @property
    def cells(self) -> tuple[str, ...]:
        """The texts of the columns."""
        return (self.state.label, f"{self.state.epochs}/{self.run.config.train.epochs}", self.metric, self.best,
                "" if self.speed is None else f"{self.speed:.3g} s/epoch",
                "" if self.left is None else clock(self.left), self.device, self.owner, self.run.name)


Key = Callable[[Line], float | str]
COLUMNS: tuple[tuple[str, Key], ...] = (
    ("state", lambda line: ORDER.index(line.state.name)),
    ("epoch", lambda line: line.state.epochs / line.run.config.train.epochs),
    ("metric", lambda line: line.newest_value),
    ("best", lambda line: line.best_value),
    ("speed", lambda line: math.inf if line.speed is None else line.speed),
    ("ETA", lambda line: math.inf if line.left is None else line.left),
    ("device", lambda line: line.device),
    ("owner", lambda line: line.owner),
    ("run", lambda line: line.place),
)


@dataclass
class View:
    """The state that keys change: the column to sort by, the chosen run (its id), and whether its log is open."""

    column: int = 0
    reverse: bool = False
    chosen: str = ""
    log: bool = False
    shown: list[str] = field(default_factory=list)  # ids, in the order of the last update

    def press(self, key: str) -> bool:
        """Handle a key. Returns False if it quits."""
        if self.log:
            self.log = key != "quit"
        elif key == "quit":
            return False
        elif key == "sort":
            self.column = (self.column + 1) % len(COLUMNS)
        elif key == "reverse":
            self.reverse = not self.reverse
        elif key in ("up", "down") and self.shown:
            place = self.shown.index(self.chosen) if self.chosen in self.shown else 0
            self.chosen = self.shown[max(0, min(len(self.shown) - 1, place + (1 if key == "down" else -1)))]
        elif key == "log" and self.shown:
            self.log = True
        return True


class Keyboard:
    """Reads keys from the terminal, one at a time, without echo. Use it in a `with` statement."""

    def __enter__(self) -> Keyboard:
        self.file = sys.stdin.fileno()
        self.typed = ""
        self.before = termios.tcgetattr(self.file)
        tty.setcbreak(self.file)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        termios.tcsetattr(self.file, termios.TCSADRAIN, self.before)

    def wait(self, seconds: float) -> str:
        """The key pressed within this time, or "". The end of the input counts as `q`."""
        if not self.typed:
            if not select.select([self.file], [], [], seconds)[0]:
                return ""
            self.typed = os.read(self.file, 64).decode(errors="replace")
            if not self.typed:
                return "quit"
        size = 3 if self.typed[:2] in ("\x1b[", "\x1bO") else 1  # an arrow key, or another special key
        key, self.typed = self.typed[:size], self.typed[size:]
        return KEYS.get(key, "")


def watch(snapshots: Snapshots) -> bool:
    """Show the table until no run is active, or `q` or Ctrl-C is pressed. Returns True if runs are still active."""
    view, devices = View(), dict[str, str]()
    with Stop(signal.SIGINT) as stop, Keyboard() as keyboard, Live(screen=True, auto_refresh=False) as live:
        while snapshots.refresh().active and not stop.asked:
            live.update(picture(snapshots, view, devices, live.console), refresh=True)
            if not view.press(keyboard.wait(TICK_S)):
                break
    print("\n".join(lines(snapshots.grids, snapshots.latest)))
    return snapshots.latest.active


def picture(snapshots: Snapshots, view: View, devices: dict[str, str], console: Console) -> Group:
    """The table, or the log of the chosen run, fitted to the terminal."""
    snapshot, store = snapshots.latest, snapshots.store
    found = table_lines(snapshot, store, devices)
    found.sort(key=lambda line: line.place)
    found.sort(key=COLUMNS[view.column][1], reverse=view.reverse)
    view.shown = [line.run.run_id for line in found]
    if view.chosen not in view.shown:
        view.chosen = view.shown[0] if view.shown else ""
    if view.log:
        chosen = next(line for line in found if line.run.run_id == view.chosen)
        return _log(chosen, store, console)
    head, *rest = lines(snapshots.grids, snapshot)
    times = [line.strip() for line in rest if line.startswith("  ") and "need" in line]
    room = max(1, console.height - 5 - len(times))
    place = view.shown.index(view.chosen) if view.chosen else 0
    first = max(0, min(place - room // 2, len(found) - room))
    return Group(Text(head, no_wrap=True, overflow="ellipsis"), _table(found[first:first + room], view),
                 *(Text(one) for one in times), Text(HELP, style="dim", no_wrap=True, overflow="ellipsis"))


def table_lines(snapshot: Snapshot, store: Store, devices: dict[str, str]) -> list[Line]:
    """A line for each run. `devices` caches the devices of runs, by id."""
    made = snapshot.plan
    found = []
    for place, run in enumerate(made.runs):
        state = made.states[run.run_id]
        standing = snapshot.standings.of(run) if state.name != State.TODO else None
        moving = state.name == State.CLAIMED
        sign = -1.0 if standing is not None and standing.metric.direction == "max" else 1.0
        unit = f" {standing.metric.unit}" if standing else ""
        found.append(Line(
            run, state, f"{standing.metric.format(standing.newest.value)}{unit}" if standing else "",
            f"{standing.metric.format(standing.best.value)} at {standing.best.epoch}" if standing else "",
            sign * standing.newest.value if standing else math.inf,
            sign * standing.best.value if standing else math.inf,
            state.progress.seconds_per_epoch if state.progress else None,
            left(run, state, made.until, made.speeds) if moving else None,
            _device(run, state, store, devices),
            snapshot.queue.get(run.run_id, "") or (state.detail.removeprefix("held by ") if moving else ""), place))
    return found


def _device(run: GridRun, state: RunState, store: Store, devices: dict[str, str]) -> str:
    """The device of a run, or "" if it is not yet known."""
    if state.name == State.TODO:
        return ""
    if not devices.get(run.run_id):
        record = store.provenance(run.run_id)
        devices[run.run_id] = str(record.environment.get("device", "")) if record else ""
    return devices[run.run_id]


def _table(found: Sequence[Line], view: View) -> Table:
    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for i, (name, _) in enumerate(COLUMNS):
        arrow = (" ▼" if view.reverse else " ▲") if i == view.column else ""
        made.add_column(name + arrow, no_wrap=True, overflow="ellipsis", ratio=None,
                        max_width=24 if name in ("device", "owner") else None)
    for line in found:
        style = "reverse" if line.run.run_id == view.chosen else STYLES.get(line.state.name, "")
        made.add_row(*(Text(clean(cell)) for cell in line.cells), style=style)
    return made


def _log(line: Line, store: Store, console: Console) -> Group:
    """The end of a log."""
    room = max(1, console.height - 3)
    texts = tail(store, line.run.run_id)[-room:] or ["the log is empty"]
    return Group(Text(f"{store.log(line.run.run_id)}  ({line.run.name}, {line.state.label})", style="bold"),
                 *(Text(clean(one), no_wrap=True, overflow="ellipsis") for one in texts), Text(LOG_HELP, style="dim"))


def tail(store: Store, run_id: str) -> list[str]:
    """The last lines of a run's log. A symbolic link is not followed."""
    path = store.log(run_id)
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - TAIL))
            return file.read().decode(errors="replace").splitlines()
    except OSError:
        return []


def clean(text: str) -> str:
    """The text, with control characters replaced by spaces, since a terminal would interpret them."""
    return "".join(c if c.isprintable() else " " for c in text)
