"""The command merge: copies the runs of one store to another. Runs with the same id are the same."""

from __future__ import annotations

from suite.cli.other_requests import MergeRequest
from suite.store.merge import NEW, NOTHING, SAME
from suite.store.merge import merge as merge_stores

SHOWN = 20


def merge(request: MergeRequest) -> int:
    """Merge one store into another, and print what was done with the runs. Returns 1 if some were skipped."""
    made = merge_stores(request.source, request.target)
    print(f"{made.source} into {made.target}: {sum(map(len, made.outcomes.values()))} runs")
    for what, run_ids in sorted(made.outcomes.items(), key=lambda item: -len(item[1])):
        print(f"  {len(run_ids)} {what}")
        if what not in (NEW, SAME, NOTHING):
            for run_id in run_ids[:SHOWN]:
                print(f"    {run_id}")
            if len(run_ids) > SHOWN:
                print(f"    {len(run_ids) - SHOWN} more")
    return 0 if made.is_complete else 1
