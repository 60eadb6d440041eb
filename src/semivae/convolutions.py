"""The paper's convolutional networks (sections 2.10, 2.11, 4.3), for images of any size."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from semivae.nets import Decoder, Shape, SplitLinear
from semivae.upconv import UpConv2d


def halvings(size: int, times: int) -> list[int]:
    """The side of an image after each convolution of stride 2, kernel 3, padding 1: size first.

    >>> halvings(28, 3)
    [28, 14, 7, 4]
    """
    sizes = [size]
    for _ in range(times):
        sizes.append((sizes[-1] + 1) // 2)
    return sizes


def channels_last(module: nn.Module) -> nn.Module:
    """Lays the convolutions' weights out channels-last, the faster layout; shapes stay."""
    for parameter in module.parameters():
        if parameter.dim() == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return module


class ConvEncoder(nn.Sequential):
    """Images to 512 features by stride-2 convolutions (section 2.10): 28 -> 14 -> 7, 32 -> 16 ->
    8."""

    def __init__(self, event: Shape, channels: tuple[int, ...], features: int) -> None:
        height, width = (halvings(side, len(channels))[-1] for side in event[1:])
        layers: list[nn.Module] = []
        for before, after in zip((event[0], *channels), channels, strict=False):
            layers += [nn.Conv2d(before, after, 3, stride=2, padding=1), nn.ReLU()]
        flat = channels[-1] * height * width
        layers += [Flatten(), nn.Linear(flat, features), nn.ReLU()]
        super().__init__(*layers)
        channels_last(self)

    def forward(self, input: Float[Tensor, "B C H W"]) -> Float[Tensor, "B F"]:
        x = input.contiguous(memory_format=torch.channels_last)
        if x.shape[1] == 1:
            # Both layouts are the same bytes then; the strides say which one comes out.
            x = x.flatten(1).unflatten(1, (*x.shape[2:], 1)).permute(0, 3, 1, 2)
        for layer in self:
            x = layer(x)
        return x


class Flatten(nn.Module):
    """Images (M, C, H, W) that lie channels-last in memory to (M, H W C), at no cost."""

    def forward(self, image: Float[Tensor, "M C H W"]) -> Float[Tensor, "M F"]:
        return image.permute(0, 2, 3, 1).flatten(1)


class Unflatten(nn.Module):
    """(M, H W C) to images (M, C, H, W), as `Flatten` reads them."""

    def __init__(self, channels: int, height: int, width: int) -> None:
        super().__init__()
        self.channels, self.height, self.width = channels, height, width

    def forward(self, h: Float[Tensor, "M F"]) -> Float[Tensor, "M C H W"]:
        return h.view(-1, self.height, self.width, self.channels).permute(0, 3, 1, 2)


def _upsampling(event: Shape, channels: tuple[int, ...]) -> list[nn.Module]:
    """Transposed convolutions from `channels[0]` up to the image, each undoing one halving.

    A halving to n comes from 2n or 2n - 1; the output padding (1 or 0) says which, so that any
    image size is met: 7 -> 14 -> 28 and 4 -> 8 -> 16 -> 32 with paddings of 1, 4 -> 7 -> 14 -> 28
    with 0, 1, 1.
    """
    outputs = (*channels[1:], event[0])
    heights = halvings(event[1], len(outputs))[::-1]
    widths = halvings(event[2], len(outputs))[::-1]
    layers: list[nn.Module] = []
    for i, after in enumerate(outputs):
        padding = (heights[i + 1] - 2 * heights[i] + 1, widths[i + 1] - 2 * widths[i] + 1)
        layers += [UpConv2d(channels[i], after, padding), nn.ReLU()]
    return layers[:-1]  # no activation on the output: it is a mean or a logit


def conv_decoder(event: Shape, classes: int, latent: int) -> Decoder:
    """Section 2.11: 512, the encoder's flattened size (3136 or 4096), two transposed
    convolutions."""
    height, width = (halvings(side, 2)[-1] for side in event[1:])
    rest = nn.Sequential(
        nn.Linear(512, 64 * height * width),
        nn.ReLU(),
        Unflatten(64, height, width),
        *_upsampling(event, (64, 32)),
    )
    return Decoder(SplitLinear(latent, classes, 512), nn.ReLU(), channels_last(rest))


def conv_decoder_43(event: Shape, classes: int, latent: int) -> Decoder:
    """Section 4.3: 512 units read as a small image, then three transposed convolutions."""
    height, width = (halvings(side, 3)[-1] for side in event[1:])
    channels, remainder = divmod(512, height * width)
    if remainder or not channels:
        raise ValueError(
            f"the decoder of section 4.3 reads its 512 units as {height} x {width} images, which "
            f"does not divide for {event[1]} x {event[2]} pixels: use the decoder of section 2.11"
        )
    rest = nn.Sequential(
        Unflatten(channels, height, width), *_upsampling(event, (channels, 64, 32))
    )
    return Decoder(SplitLinear(latent, classes, 512), nn.ReLU(), channels_last(rest))
