"""The Triton kernels of `fused`. Each program instance processes a tile of HIGH by WIDE values.

Arguments are arrays (as pointers), then sizes, then compile-time constants. Triton comes with CUDA builds of torch.
Only `fused` imports this file, if Triton is installed.
"""

import triton
import triton.language as tl


@triton.jit
def move(x, out, features, valid, size, x_b, x_h, x_l, out_b, out_h, out_l, HIGH: tl.constexpr, WIDE: tl.constexpr):
    """See `fused.move`. Each array is accessed along its own contiguous axis; Triton transposes the tile."""
    at = tl.program_id(0) * WIDE + tl.arange(0, WIDE)
    h = tl.program_id(1) * HIGH + tl.arange(0, HIGH)
    b = tl.program_id(2).to(tl.int64)
    inside = h[:, None] < features
    values = tl.load(x + b * x_b + h[:, None] * x_h + at[None, :] * x_l, mask=inside & (at[None, :] < valid), other=0.0)
    tl.store(out + b * out_b + h[:, None] * out_h + at[None, :] * out_l, values, mask=inside & (at[None, :] < size))


@triton.jit
def multiply_back(grad, filters, signal, total, batch, count, ON_INPUT: tl.constexpr, SUM: tl.constexpr,
                  BLOCK: tl.constexpr):
    """See `fused.multiply_back`. A complex number is two adjacent real numbers."""
    n = tl.program_id(0) * 2 * BLOCK + tl.arange(0, 2 * BLOCK)
    inside = n < 2 * count
    f_re, f_im = tl.split(tl.reshape(tl.load(filters + n, mask=inside, other=0.0), (BLOCK, 2)))
    sum_re, sum_im = tl.zeros_like(f_re), tl.zeros_like(f_re)
    grads, signals = grad + n, signal + n
    for _ in range(batch):  # in this order, so that the sum has the same bits each time
        g_re, g_im = tl.split(tl.reshape(tl.load(grads, mask=inside, other=0.0), (BLOCK, 2)))
        if SUM:
            s_re, s_im = tl.split(tl.reshape(tl.load(signals, mask=inside, other=0.0), (BLOCK, 2)))
            sum_re += s_re * g_re + s_im * g_im
            sum_im += s_re * g_im - s_im * g_re
        if ON_INPUT:
            product = tl.join(g_re * f_re + g_im * f_im, g_im * f_re - g_re * f_im)
            tl.store(grads, tl.reshape(product, (2 * BLOCK,)), mask=inside)
        grads += 2 * count
        signals += 2 * count
    if SUM:
        tl.store(total + n, tl.reshape(tl.join(sum_re, sum_im), (2 * BLOCK,)), mask=inside)


@triton.jit
def norm(x, y, weight, bias, mean, rstd, rows, width, eps, HIGH: tl.constexpr, WIDE: tl.constexpr):
    """Layer norm: y (rows, width), and the mean and the inverse standard deviation of each row."""
    r = tl.program_id(0) * HIGH + tl.arange(0, HIGH)
    c = tl.arange(0, WIDE)
    inside = (r[:, None] < rows) & (c[None, :] < width)
    at = r[:, None].to(tl.int64) * width + c[None, :]
    values = tl.load(x + at, mask=inside, other=0.0)
    middle = tl.sum(values, 1) / width
    centred = tl.where(inside, values - middle[:, None], 0.0)
    scale = 1.0 / tl.sqrt_rn(tl.sum(centred * centred, 1) / width + eps)
    w = tl.load(weight + c, mask=c < width, other=0.0)
    b = tl.load(bias + c, mask=c < width, other=0.0)
    tl.store(y + at, centred * scale[:, None] * w[None, :] + b[None, :], mask=inside)
    tl.store(mean + r, middle, mask=r < rows)
    tl.store(rstd + r, scale, mask=r < rows)


@triton.jit
def norm_back(x, grad, weight, mean, rstd, dx, parts, rows, width, HIGH: tl.constexpr, WIDE: tl.constexpr):
    """Backward of `norm`: dx (rows, width), and each program's sums for the gradients of weight and bias,
    (programs, 2, width)."""
    c = tl.arange(0, WIDE)
    w = tl.load(weight + c, mask=c < width, other=0.0)
    dweight, dbias = tl.zeros((HIGH, WIDE), tl.float32), tl.zeros((HIGH, WIDE), tl.float32)
    for first in range(tl.program_id(0) * HIGH, rows, tl.num_programs(0) * HIGH):
        r = first + tl.arange(0, HIGH)
        inside = (r[:, None] < rows) & (c[None, :] < width)
        at = r[:, None].to(tl.int64) * width + c[None, :]
        middle = tl.load(mean + r, mask=r < rows, other=0.0)
        scale = tl.load(rstd + r, mask=r < rows, other=0.0)
        g = tl.load(grad + at, mask=inside, other=0.0)
        centred = tl.where(inside, tl.load(x + at, mask=inside, other=0.0) - middle[:, None], 0.0)
        hat = centred * scale[:, None]
        dweight += g * hat
        dbias += g
        slope = g * w[None, :]
        along = tl.sum(slope * hat, 1) / width
        level = tl.sum(slope, 1) / width
        tl.store(dx + at, (slope - hat * along[:, None] - level[:, None]) * scale[:, None], mask=inside)
    row = parts + tl.program_id(0) * 2 * width + c
    tl.store(row, tl.sum(dweight, 0), mask=c < width)
    tl.store(row + width, tl.sum(dbias, 0), mask=c < width)


@triton.jit
def sum_rows(x, parts, rows, width, HIGH: tl.constexpr, WIDE: tl.constexpr):
    """The sum over each program's rows, (programs, width)."""
    c = tl.program_id(1) * WIDE + tl.arange(0, WIDE)
    total = tl.zeros((HIGH, WIDE), tl.float32)
    for first in range(tl.program_id(0) * HIGH, rows, tl.num_programs(0) * HIGH):
        r = first + tl.arange(0, HIGH)
        inside = (r[:, None] < rows) & (c[None, :] < width)
        total += tl.load(x + r[:, None].to(tl.int64) * width + c[None, :], mask=inside, other=0.0).to(tl.float32)
    tl.store(parts + tl.program_id(0) * width + c, tl.sum(total, 0), mask=c < width)
