"""The command status: the progress of the runs, from their files and the queue of a cluster. Writes nothing."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Sequence

from suite.cli.other_requests import StatusRequest
from suite.cli.snapshot import Snapshots, as_json, lines
from suite.grid.model import Grid
from suite.job.stop import Stop
from suite.report.added import with_added
from suite.store.store import Store

TICK_S = 1.0  # seconds between two checks for changes
ENDED = "stopped watching; the runs continue"


def status(grids: Sequence[Grid], request: StatusRequest) -> int:
    """Print the progress of the runs, once or, with `--watch`, until no run is active. Ctrl-C leaves them running."""
    store = Store(request.store)
    grids = with_added(grids, store)
    snapshots = Snapshots(grids, store, request.until)
    if not request.watch:
        snapshot = snapshots.latest
        text = "\n".join(lines(grids, snapshot)) if not request.json else \
            json.dumps(as_json(snapshot), indent=1, ensure_ascii=False)
        print(text)
        return 0
    if not request.json and sys.stdin.isatty() and sys.stdout.isatty():
        from suite.cli import watch

        if watch.watch(snapshots):
            print(ENDED)
        return 0
    return _watch(grids, snapshots, request)


def _watch(grids: Sequence[Grid], snapshots: Snapshots, request: StatusRequest) -> int:
    """Print the full status at each change."""
    if not request.json:
        print("not a terminal: printing the status at each change instead of a live table", file=sys.stderr)
    before = ""
    with Stop(signal.SIGINT) as stop:
        while not stop.asked:
            snapshot = snapshots.refresh()
            text = json.dumps(as_json(snapshot), ensure_ascii=False) if request.json else \
                "\n".join(lines(grids, snapshot))
            if text != before:
                print(text, flush=True)
            before = text
            if not snapshot.active:
                return 0
            stop.sleep(TICK_S)
    print(ENDED)
    return 0
