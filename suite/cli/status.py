"""The command status: how far the runs are, from their files and the queue of a cluster. It writes nothing."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Sequence

from suite.cli.looking import Looks, as_json, lines
from suite.cli.other_requests import StatusRequest
from suite.grid.model import Grid
from suite.job.stop import Stop
from suite.report.added import with_added
from suite.store.store import Store

TICK_S = 1.0  # seconds between two checks for changes
ENDED = "the runs continue; only the watching has ended"


def status(grids: Sequence[Grid], request: StatusRequest) -> int:
    """Prints how far the runs are, once or, with `--watch`, until nothing runs. Ctrl-C ends the watching only."""
    store = Store(request.store)
    grids = with_added(grids, store)
    looks = Looks(grids, store, request.until)
    if not request.watch:
        seen = looks.seen
        whole = "\n".join(lines(grids, seen)) if not request.json else \
            json.dumps(as_json(seen), indent=1, ensure_ascii=False)
        print(whole)
        return 0
    if not request.json and sys.stdin.isatty() and sys.stdout.isatty():
        from suite.cli import watch

        if watch.watch(looks):
            print(ENDED)
        return 0
    return _watch(grids, looks, request)


def _watch(grids: Sequence[Grid], looks: Looks, request: StatusRequest) -> int:
    """Prints the whole status at each change."""
    if not request.json:
        print("no terminal, so the status is printed at each change instead of a live table", file=sys.stderr)
    before = ""
    with Stop(signal.SIGINT) as stop:
        while not stop.asked:
            seen = looks.again()
            text = json.dumps(as_json(seen), ensure_ascii=False) if request.json else "\n".join(lines(grids, seen))
            if text != before:
                print(text, flush=True)
            before = text
            if not seen.active:
                return 0
            stop.sleep(TICK_S)
    print(ENDED)
    return 0
