"""PTD's own perturbation (2310.01698, released code): E minimizes cond(V)² + 0.003 ‖E‖, V the eigenvectors of A - E.

Adam with a learning rate of 0.3, times 0.98 every 100 steps, starting from uniform numbers in (0, 0.1). The authors use
one E for all of their models, made with 10,000 steps. Here as well, all layers and copies share one E, which is made
once per process: 10,000 steps of 64 modes take a few minutes. torch is imported only for this.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from suite.ssm import hippo

SEED, WEIGHT, RATE, FALL, EVERY = 0, 3e-3, 0.3, 0.98, 100


@lru_cache(maxsize=8)
def perturbation(modes: int, steps: int) -> NDArray[np.complex128]:
    """E after `steps` steps, (M, M) with M = `modes`, computed in float64. The array is shared and read-only."""
    import torch

    with torch.enable_grad():
        legs = torch.from_numpy(hippo.legs(modes).a)
        generator = torch.Generator().manual_seed(SEED)
        parts = (0.1 * torch.rand(2, modes, modes, dtype=torch.float64, generator=generator)).requires_grad_()
        optimizer = torch.optim.Adam([parts], lr=RATE)
        schedule = torch.optim.lr_scheduler.StepLR(optimizer, EVERY, FALL)
        for _ in range(steps):
            optimizer.zero_grad()
            E = torch.complex(parts[0], parts[1])
            sizes = torch.linalg.svdvals(torch.linalg.eig(legs - E)[1])
            ((sizes[0] / sizes[-1]) ** 2 + WEIGHT * torch.linalg.norm(E)).backward()
            optimizer.step()
            schedule.step()
    found = torch.complex(parts[0], parts[1]).detach().numpy()
    found.flags.writeable = False
    return found
