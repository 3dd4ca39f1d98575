"""What an error means for a run, in one sentence. The texts of GPUs are torch's own; none was there."""

from __future__ import annotations

import errno

import pytest
import torch

from suite.errors import MachineFault, UserError
from suite.job.ending import failure
from suite.store.state import Reason, State

GPU_FULL = ("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 79.11 GiB of which 1.23 GiB "
            "is free. Process 4711 has 70.00 GiB memory in use. Including non-PyTorch memory, this process has 7.88 "
            "GiB memory in use. Of the allocated memory 7.00 GiB is allocated by PyTorch, and 0.5 GiB is reserved.")
XID = ("CUDA error: uncorrectable ECC error encountered\nCUDA kernel errors might be asynchronously reported at some "
       "other API call, so the stacktrace below might be incorrect.\nFor debugging consider passing "
       "CUDA_LAUNCH_BLOCKING=1\nCompile with `TORCH_USE_CUDA_DSA` to enable device-side assertions.")
WAYS = "write a smaller train.batch_size, add --recompute, or run fewer at a time (--jobs 1)"


def test_too_little_memory_of_a_gpu_is_one_sentence() -> None:
    ending = failure(torch.OutOfMemoryError(GPU_FULL), 3)
    assert (ending.state, ending.reason) == (State.FAILED, Reason.OOM)
    assert ending.detail == ("the GPU has 1.23 GiB of its 79.11 GiB left, and a step asked for 2.00 GiB more: " + WAYS)


def test_too_little_memory_of_the_machine_is_one_sentence() -> None:
    with pytest.raises(RuntimeError) as error:
        torch.empty(2**50, dtype=torch.uint8)
    ending = failure(error.value, 3)
    assert ending.reason == Reason.OOM and ending.detail.endswith(WAYS)
    assert ending.detail.startswith("a step asked for 1125899.9 GB of memory, more than is left of the ")
    assert failure(MemoryError(), 0).detail == f"there was not enough memory: {WAYS}"


@pytest.mark.parametrize("text", [XID, "CUDA error: unknown error", "No CUDA GPUs: no CUDA-capable device is detected"])
def test_a_gpu_that_broke_down_is_no_error_of_the_run(text: str) -> None:
    ending = failure(RuntimeError(text), 3)
    assert (ending.state, ending.reason) == (State.PARTIAL, Reason.GPU)
    assert ending.detail.startswith("its GPU is lost: ") and ending.detail.endswith("from the last checkpoint")
    assert "asynchronously" not in ending.detail
    assert failure(RuntimeError("CUDA error: an illegal memory access was encountered"), 3).reason == Reason.ERROR


@pytest.mark.parametrize(("error", "step", "state", "reason"), [
    (OSError(errno.ENOSPC, "No space left on device", "x"), 5, State.PARTIAL, Reason.START),
    (OSError(errno.ENOSPC, "No space left on device", "x"), None, State.TODO, Reason.START),
    (OSError(errno.EIO, "Input/output error", "data.npy"), None, State.TODO, Reason.START),
    (OSError(errno.EIO, "Input/output error", "data.npy"), 5, State.FAILED, Reason.ERROR),
    (MachineFault("no GPU"), None, State.TODO, Reason.START),
    (UserError("a batch of 50 is more than 3"), None, State.FAILED, Reason.ERROR),
    (ZeroDivisionError(), None, State.FAILED, Reason.ERROR),
])
def test_faults_of_the_machine_are_no_failures_of_the_run(error: Exception, step: int | None, state: State,
                                                          reason: Reason) -> None:
    ending = failure(error, step)
    assert (ending.state, ending.reason) == (state, reason)
