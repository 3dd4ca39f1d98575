"""A selective state space layer, S6 of Mamba (2312.00752), in plain PyTorch. Run it: `model.name: "mamba:S6"`.

For each of E = expand * H inner channels a diagonal state of N values, whose step size, B and C depend on the input:

    h_t = exp(dt_t A) h_{t-1} + dt_t B_t x_t        y_t = C_t . h_t + D x_t

There is no kernel, as the map changes from step to step: the recurrence is computed as it is written, a step at a time.
This is made to be read, and needs no CUDA: it is slow, and its memory grows as L N. Defaults are those of
state-spaces/mamba, in which Re(A) is -1 to -N and Im(A) is 0.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from suite.errors import UserError


class S6(nn.Module):
    """(batch, length, features) to the same. Raises UserError if it is asked to be bidirectional."""

    causal = True
    parameter_groups = {"A_log": "no_decay", "D": "no_decay"}  # as in state-spaces/mamba

    def __init__(self, features: int, bidirectional: bool = False, state: int = 16, expand: int = 2, width: int = 4,
                 dt_min: float = 0.001, dt_max: float = 0.1) -> None:
        super().__init__()
        if bidirectional:
            raise UserError("S6 looks back only", "model.bidirectional", "write false")
        inner, self.rank = expand * features, math.ceil(features / 16)
        self.state, self.width = state, width
        self.in_proj = nn.Linear(features, 2 * inner, bias=False)
        self.conv = nn.Conv1d(inner, inner, width, groups=inner)
        self.x_proj = nn.Linear(inner, self.rank + 2 * state, bias=False)
        self.dt_proj = nn.Linear(self.rank, inner)
        self.A_log = nn.Parameter(torch.log(torch.arange(1.0, state + 1)).repeat(inner, 1))
        self.D = nn.Parameter(torch.ones(inner))
        self.out_proj = nn.Linear(inner, features, bias=False)
        dt = torch.exp(torch.empty(inner).uniform_(math.log(dt_min), math.log(dt_max))).clamp(min=1e-4)
        with torch.no_grad():
            nn.init.uniform_(self.dt_proj.weight, -(self.rank**-0.5), self.rank**-0.5)
            self.dt_proj.bias.copy_(dt + torch.log(-torch.expm1(-dt)))  # softplus of it is dt

    def forward(self, u: Tensor, mask: Tensor) -> Tensor:
        """`mask` (batch, length, 1) is 0 at padding, which comes last and so reaches no valid step."""
        x, z = self.in_proj(u * mask).chunk(2, dim=-1)
        x = F.silu(self.conv(F.pad(x.transpose(1, 2), (self.width - 1, 0))).transpose(1, 2))
        dt, B, C = self.x_proj(x).split([self.rank, self.state, self.state], dim=-1)
        y = self.selective(x, F.softplus(self.dt_proj(dt)), -torch.exp(self.A_log), B, C) + self.D * x
        out: Tensor = self.out_proj(y * F.silu(z))
        return out

    def selective(self, x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor) -> Tensor:
        """y_t = C_t . h_t. x, dt, y: (batch, L, E); A: (E, N), negative; B, C: (batch, L, N)."""
        a = torch.exp(dt[..., None] * A)  # (batch, L, E, N)
        b = (dt * x)[..., None] * B[:, :, None]
        h, states = torch.zeros_like(b[:, 0]), []
        for a_t, b_t in zip(a.unbind(1), b.unbind(1), strict=True):
            h = a_t * h + b_t
            states.append(h)
        return torch.einsum("blen,bln->ble", torch.stack(states, dim=1), C)
