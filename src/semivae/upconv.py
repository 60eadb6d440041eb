"""The transposed convolution of the paper's decoders, in less time than PyTorch's own on a
processor.

There, most of the exact sum over y goes into two of its parts: the backward pass, and the forward
pass to a single channel. Both are matrix products here, on windows of 3 x 3 that are gathered for
a slice of the batch at a time, so that they stay in the cache. Other forward passes are PyTorch's.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

SLICE = 128  # examples whose windows are gathered at a time

Image = Float[Tensor, "M C H W"]
Larger = Float[Tensor, "M D I J"]  # the image that is made of it


class UpConv2d(nn.ConvTranspose2d):
    """A transposed convolution of kernel 3, stride 2 and padding 1: h -> 2 h - 1 + output padding.

    On a processor it has no second derivative and none of torch.func's transforms; on other
    devices it is PyTorch's own.
    """

    def __init__(self, inputs: int, outputs: int, output_padding: tuple[int, int]) -> None:
        super().__init__(inputs, outputs, 3, stride=2, padding=1, output_padding=output_padding)

    def forward(self, input: Image, output_size: list[int] | None = None) -> Larger:
        if input.device.type != "cpu" or output_size is not None:
            return super().forward(input, output_size)
        assert self.bias is not None
        lower = torch.is_autocast_enabled("cpu") and input.dtype != torch.float64
        dtype = torch.get_autocast_dtype("cpu") if lower else input.dtype
        x, weight, bias = (each.to(dtype) for each in (input, self.weight, self.bias))
        larger: Tensor = _Up.apply(x, weight, bias, self.output_padding)  # type: ignore[no-untyped-call]
        return larger


class _Up(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Image, weight: Tensor, bias: Tensor, output_padding: tuple[int, int]
    ) -> Larger:
        ctx.save_for_backward(x, weight)
        if weight.shape[1] == 1:
            return _to_one_channel(x, weight, output_padding).add_(bias)
        return functional.conv_transpose2d(x, weight, bias, 2, 1, output_padding)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Larger) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        of_x, of_weight = _gradients(_grid(x), weight, _grid(gradient))
        return of_x, of_weight, gradient.sum((0, 2, 3)), None


def _grid(image: Float[Tensor, "M C H W"]) -> Float[Tensor, "M H W C"]:
    """An image as it lies in memory."""
    return image.permute(0, 2, 3, 1)


def _to_one_channel(x: Image, weight: Tensor, output_padding: tuple[int, int]) -> Larger:
    """Nine products per pixel, x W, each added where its tap of the kernel reaches.

    Output 2 i is reached from i by the middle tap, 2 i + 1 from i by the last and from i + 1 by
    the first.
    """
    examples, channels, height, width = x.shape
    rows_out = 2 * height - 1 + output_padding[0]
    columns_out = 2 * width - 1 + output_padding[1]
    out = x.new_empty(examples, 1, rows_out, columns_out)
    sums = torch.promote_types(x.dtype, torch.float32)
    taps = weight.view(channels, 9)
    for start in range(0, examples, SLICE):
        pixels = _grid(x[start : start + SLICE]).reshape(-1, channels)
        products = (pixels @ taps).to(sums).view(-1, height, width, 3, 3)
        rows = _interleaved(products.movedim(3, 0), dim=1)  # (3, H, W, 3) to (2 H, W, 3)
        columns = _interleaved(rows.movedim(3, 0), dim=2)
        out[start : start + SLICE, 0] = columns[:, :rows_out, :columns_out]
    return out


def _interleaved(taps: Tensor, dim: int) -> Tensor:
    """(3, ..., n, ...) to (..., 2 n, ...): the taps of one side of the kernel, along that side."""
    first, middle, last = taps
    n = first.shape[dim]
    odd = last.clone()
    odd.narrow(dim, 0, n - 1).add_(first.narrow(dim, 1, n - 1))
    return torch.stack([middle, odd], dim + 1).flatten(dim, dim + 1)


def _gradients(
    x: Float[Tensor, "M H W C"],
    weight: Float[Tensor, "C D 3 3"],
    gradient: Float[Tensor, "M I J D"],
) -> tuple[Image, Float[Tensor, "C D 3 3"]]:
    """With respect to x and to the weight: both are products with the 3 x 3 windows of the
    gradient, every second one."""
    examples, height, width, channels = x.shape
    outputs = gradient.shape[3]
    of_x = torch.empty_like(x, memory_format=torch.contiguous_format)
    # Summed over slices in float32 where the products are bfloat16.
    of_weight = weight.new_zeros(
        channels, 9 * outputs, dtype=torch.promote_types(weight.dtype, torch.float32)
    )
    transposed = weight.permute(2, 3, 1, 0).reshape(9 * outputs, channels)
    for start in range(0, examples, SLICE):
        windows = _windows(gradient[start : start + SLICE], height, width)
        torch.mm(windows, transposed, out=of_x[start : start + SLICE].view(-1, channels))
        of_weight += x[start : start + SLICE].reshape(-1, channels).t() @ windows
    of_weight = of_weight.view(channels, 3, 3, outputs).permute(0, 3, 1, 2)
    return of_x.permute(0, 3, 1, 2), of_weight.to(weight.dtype)


def _windows(gradient: Float[Tensor, "M I J D"], height: int, width: int) -> Float[Tensor, "P W"]:
    """The window of each input pixel, one row each: output 2 i - 1 to 2 i + 1 on both sides."""
    examples, rows, columns, channels = gradient.shape
    padded = functional.pad(gradient, (0, 0, 1, 2 * width - columns, 1, 2 * height - rows))
    example, row, column, channel = padded.stride()
    windows = padded.as_strided(
        (examples, height, width, 3, 3, channels),
        (example, 2 * row, 2 * column, row, column, channel),
    )
    return windows.reshape(-1, 9 * channels)
