"""Jobs in the queue that will not start: explanations of squeue's reasons, and what to do."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Stuck:
    """`why` a job does not start, and what to `do`. `for_good`: it will not start without this."""

    why: str
    do: str
    for_good: bool = True

    @property
    def words(self) -> str:
        """A phrase for messages, after the name of the job."""
        return f"will not start{'' if self.for_good else ' yet'}: {self.why}; {self.do}"


AGAIN = "`cancel` it, then `retry --reason cancelled`"
KNOWN = [(re.compile(pattern), stuck) for pattern, stuck in (
    (r"PartitionTimeLimit", Stuck("its time limit exceeds the partition's limit",
                                  f"{AGAIN} with a shorter --time, or another --partition")),
    (r"PartitionConfig", Stuck("it requests more than its partition has or allows",
                               f"{AGAIN} with less, a shorter --time, or another --partition")),
    (r"PartitionNodeLimit|BadConstraints", Stuck(
        "no node of its partition can run it", f"{AGAIN} with another --partition, or request less")),
    (r"PartitionInactive", Stuck("its partition is inactive", f"{AGAIN} with another --partition")),
    (r"PartitionDown", Stuck("its partition is down", f"it starts when the partition is up, or {AGAIN} with another "
                             "--partition", for_good=False)),
    (r"ReqNodeNotAvail", Stuck("the nodes it needs are down or reserved", "it starts when they are available",
                               for_good=False)),
    (r"JobHeldAdmin", Stuck("an administrator holds it", "ask the administrators of the cluster")),
    (r"JobHeldUser", Stuck("you hold it", "`scontrol release` lets it start")),
    (r"(?i)launch.failed.requeued.held", Stuck(
        "its node could not start it, and SLURM holds it", "check the node, then `scontrol release` it")),
    (r"(?i)(job )?requeued (in )?held( state)?|JobHoldMaxRequeue", Stuck("it was requeued too often, and SLURM holds "
                                                                       "it", "`scontrol release` lets it start")),
    (r"DependencyNeverSatisfied", Stuck("the job it depends on has failed", "see the message about its canary; "
                                        "`cancel` removes it from the queue")),
    (r"Invalid(Account|QOS)|AccountNotAllowed|QOSNotAllowed", Stuck(
        "its account or quality of service is not allowed", f"{AGAIN} with another --account or --extra qos=")),
    (r"(Assoc|QOS)Grp(?!\w*RunMin)\w*(Minutes|Wall)", Stuck("the account has used up its time",
                                               f"ask for more time, or {AGAIN} with another --account")),
    (r"(Assoc|QOS)(Max|Min)\w*PerJob|(Assoc|QOS)MaxWall", Stuck(
        "it exceeds the account's limit for one job", f"{AGAIN} and request less, or use another --account")),
    (r"(Assoc|QOS)(Grp|Max)", Stuck("the account is at its limit", "it starts when other jobs of the account end",
                                    for_good=False)),
)]


def stuck(state: str, reason: str, over: str = "") -> Stuck | None:
    """Returns why a job with this state and reason will not start, or None if it may. `over`: see `queue.Job`."""
    if state not in ("PENDING", "REQUEUE_HOLD", "SPECIAL_EXIT"):
        return None
    if over:
        return Stuck(over, f"{AGAIN} and request less, or use another --account")
    found = next((one for pattern, one in KNOWN if pattern.match(reason)), None)
    if found is None and state != "PENDING":
        return Stuck("SLURM holds it", "`scontrol release` lets it start")
    return found
