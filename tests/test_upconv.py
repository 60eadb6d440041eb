"""The transposed convolution beside PyTorch's own, in value and gradient."""

import pytest
import torch
from torch import Tensor, nn

from semivae.upconv import SLICE, UpConv2d

SHAPES = [
    # channels in and out, height, width, output padding
    (64, 32, 7, 7, (1, 1)),
    (32, 1, 14, 14, (1, 1)),
    (32, 3, 16, 16, (1, 1)),
    (32, 64, 4, 4, (0, 0)),
    (3, 1, 5, 4, (0, 1)),
    (3, 2, 1, 3, (1, 0)),
    (2, 1, 1, 1, (0, 0)),
]


def pair(inputs: int, outputs: int, padding: tuple[int, int]) -> tuple[UpConv2d, nn.Module]:
    """Ours and PyTorch's, with one set of weights."""
    torch.manual_seed(0)
    ours = UpConv2d(inputs, outputs, padding)
    theirs = nn.ConvTranspose2d(inputs, outputs, 3, 2, 1, padding)
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


def value_and_gradients(layer: nn.Module, x: Tensor) -> list[Tensor]:
    """Of a weighted sum of the output, with respect to x, weight and bias."""
    x = x.detach().requires_grad_()
    value = layer(x)
    weights = torch.linspace(-1, 2, value.numel()).reshape(value.shape)
    gradients = torch.autograd.grad((value * weights).sum(), [x, *layer.parameters()])
    return [value.detach(), *gradients]


@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format], ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_value_and_gradients_are_those_of_pytorch(
    shape: tuple[int, int, int, int, tuple[int, int]], layout: torch.memory_format
) -> None:
    inputs, outputs, height, width, padding = shape
    ours, theirs = (layer.double() for layer in pair(inputs, outputs, padding))
    for examples in (1, 3, SLICE + 1):
        x = torch.randn(examples, inputs, height, width, dtype=torch.float64)
        x = x.contiguous(memory_format=layout)
        for got, expected in zip(
            value_and_gradients(ours, x), value_and_gradients(theirs, x), strict=True
        ):
            torch.testing.assert_close(got, expected)


@pytest.mark.parametrize("shape", SHAPES[:3], ids=str)
def test_bfloat16_is_as_near_to_the_truth_as_pytorchs(
    shape: tuple[int, int, int, int, tuple[int, int]],
) -> None:
    inputs, outputs, height, width, padding = shape
    ours, theirs = pair(inputs, outputs, padding)
    x = torch.randn(300, inputs, height, width)
    truth = value_and_gradients(theirs, x)
    with torch.autocast("cpu", torch.bfloat16):
        own, reference = (value_and_gradients(layer, x) for layer in (ours, theirs))
    assert own[0].dtype == torch.bfloat16
    for got, expected, exact in zip(own, reference, truth, strict=True):
        assert got.dtype == expected.dtype
        error, allowed = (torch.dist(each.float(), exact) for each in (got, expected))
        assert error <= 1.4 * allowed  # a product is rounded before it is added to another


def test_no_examples() -> None:
    ours, _ = pair(32, 1, (1, 1))
    x = torch.randn(0, 32, 14, 14, requires_grad=True)
    out = ours(x)
    assert out.shape == (0, 1, 28, 28)
    out.sum().backward()
    assert x.grad is not None
    assert x.grad.shape == x.shape


def test_a_second_derivative_is_refused_and_not_wrong() -> None:
    ours, _ = pair(3, 2, (1, 1))
    x = torch.randn(2, 3, 4, 4, requires_grad=True)
    (gradient,) = torch.autograd.grad(ours(x).square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()
