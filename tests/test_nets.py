"""nets.py and convolutions.py: output shapes (V10), the split first layer (V13), heads in full
precision."""

import pytest
import torch
from torch import nn

from semivae import convolutions, nets

F64 = torch.float64


@pytest.mark.parametrize(
    "event", [(1, 28, 28), (3, 32, 32), (1, 8, 8), (3, 31, 33), (1, 7, 9), (2, 13, 5)]
)
def test_the_decoder_of_section_2_11_makes_images_of_any_size(event: tuple[int, ...]) -> None:
    """V10: 7 -> 14 -> 28 and 8 -> 16 -> 32, and odd sizes by output paddings of 0."""
    decoder = convolutions.conv_decoder(event, classes=10, latent=4)
    y = torch.eye(10)[:3]
    assert decoder(torch.zeros(3, 4), y, None).shape == (3, *event)
    sides = [convolutions.halvings(side, 2)[-1] for side in event[1:]]
    assert decoder.rest[0].out_features == 64 * sides[0] * sides[1]


def test_the_decoder_of_section_2_11_has_the_printed_sizes() -> None:
    """512, then 3136 = 64 * 7 * 7 at 28 px or 4096 = 64 * 8 * 8 at 32 px, two transposed
    layers."""
    for event, flat in (((1, 28, 28), 3136), ((3, 32, 32), 4096)):
        decoder = convolutions.conv_decoder(event, 10, 50)
        assert decoder.first.of_a.out_features == 512 and decoder.rest[0].out_features == flat
        up = [layer for layer in decoder.rest if isinstance(layer, nn.ConvTranspose2d)]
        assert [layer.out_channels for layer in up] == [32, event[0]]
        assert not isinstance(decoder.rest[-1], nn.ReLU)


@pytest.mark.parametrize(("side", "paddings"), [(28, [0, 1, 1]), (32, [1, 1, 1]), (8, [1, 1, 1])])
def test_the_decoder_of_section_4_3_meets_28_px_by_its_output_paddings(
    side: int, paddings: list[int]
) -> None:
    """V10: three doublings of 7 are 56; 4 -> 7 -> 14 -> 28 needs paddings 0, 1, 1."""
    decoder = convolutions.conv_decoder_43((1, side, side), 10, 4)
    assert decoder(torch.zeros(3, 4), torch.eye(10)[:3], None).shape == (3, 1, side, side)
    up = [layer for layer in decoder.rest if isinstance(layer, nn.ConvTranspose2d)]
    assert [layer.output_padding[0] for layer in up] == paddings


@pytest.mark.parametrize("side", [7, 15, 29])
def test_the_decoder_of_section_4_3_meets_odd_sizes_that_divide_its_512_units(side: int) -> None:
    """7 -> 4 -> 2 -> 1, 15 -> 8 -> 4 -> 2 and 29 -> 15 -> 8 -> 4, and back."""
    decoder = convolutions.conv_decoder_43((1, side, side), 10, 4)
    assert decoder(torch.zeros(3, 4), torch.eye(10)[:3], None).shape == (3, 1, side, side)


def test_the_decoder_of_section_4_3_refuses_sizes_that_do_not_divide() -> None:
    """512 units are no 5 x 5 image: the error names the sizes and the way out."""
    with pytest.raises(
        ValueError, match=r"5 x 5 images.* 40 x 40 pixels: use the decoder of section 2.11"
    ):
        convolutions.conv_decoder_43((1, 40, 40), 10, 4)


@pytest.mark.parametrize("event", [(1, 28, 28), (3, 32, 32), (1, 8, 8), (2, 13, 5)])
def test_the_encoder_of_section_2_10_ends_in_512_features(event: tuple[int, ...]) -> None:
    """28 -> 14 -> 7 and 32 -> 16 -> 8, 32 and 64 channels."""
    encoder = convolutions.ConvEncoder(event, (32, 64), 512)
    assert encoder(torch.zeros(2, *event)).shape == (2, 512)
    linear = next(layer for layer in encoder if isinstance(layer, nn.Linear))
    assert (
        linear.in_features
        == 64 * convolutions.halvings(event[1], 2)[-1] * convolutions.halvings(event[2], 2)[-1]
    )


def test_the_layout_in_memory_changes_no_number() -> None:
    """Channels-last weights and `Unflatten` only say how numbers lie; results are those of
    NCHW."""
    encoder = convolutions.ConvEncoder((2, 6, 8), (3, 5), 7).double()
    plain = [type(layer) for layer in encoder]
    x = torch.randn(4, 2, 6, 8, dtype=F64, generator=torch.Generator().manual_seed(0))
    h = x
    for layer in encoder:
        if isinstance(layer, nn.Conv2d):
            weight = layer.weight.contiguous()
            h = nn.functional.conv2d(h.contiguous(), weight, layer.bias, stride=2, padding=1)
        elif isinstance(layer, nn.Linear):
            h = nn.functional.linear(h, layer.weight, layer.bias)
        else:
            h = layer(h)
    assert plain.count(nn.Conv2d) == 2
    torch.testing.assert_close(encoder(x), h)
    flat = torch.arange(24.0).view(2, 12)
    image = convolutions.Unflatten(3, 2, 2)(flat)
    assert image.shape == (2, 3, 2, 2)
    assert image[1, 2, 0, 1] == flat[1, (0 * 2 + 1) * 3 + 2]
    torch.testing.assert_close(convolutions.Flatten()(image), flat)


@pytest.mark.parametrize("channels", [1, 3])
def test_images_stay_channels_last_between_the_encoders_layers(channels: int) -> None:
    """Also where the input has one channel, whose strides fit both layouts: a convolution that
    falls back to rows makes itself, its neighbours and their gradients convert the layout."""
    x = torch.zeros(2, channels, 8, 8)
    seen = []
    encoder = convolutions.ConvEncoder((channels, 8, 8), (4, 6), 7)
    for layer in encoder:
        layer.register_forward_hook(lambda layer, given, output: seen.append(output))
    encoder(x)
    images = [output for output in seen if output.dim() == 4]
    assert len(images) == 4
    assert all(image.is_contiguous(memory_format=torch.channels_last) for image in images)


def test_split_layer_equals_the_layer_of_the_concatenation() -> None:
    """V13: W [a; y] + b = (W_a a + b)[row] + W_y y, with a gathered after the product or
    before."""
    draw = torch.Generator().manual_seed(0)
    split = nets.SplitLinear(5, 3, 4).double()
    a = torch.randn(6, 5, dtype=F64, generator=draw)
    row = torch.tensor([0, 0, 5, 3, 1, 2, 4, 5])
    y = torch.randn(8, 3, dtype=F64, generator=draw).softmax(1)
    weight = torch.cat([split.of_a.weight, split.of_y.weight], 1)
    whole = nn.functional.linear(torch.cat([a[row], y], 1), weight, split.of_a.bias)
    torch.testing.assert_close(split(a, y, row), whole, rtol=1e-13, atol=1e-13)
    torch.testing.assert_close(split(a[row], y, None), whole, rtol=1e-13, atol=1e-13)


def test_split_decoder_gathers_after_the_first_layer() -> None:
    """A z per example with `row` decodes as the same z repeated per pair."""
    decoder = nets.mlp_decoder((2, 3), 3, 4, (5,), nn.Tanh).double()
    z = torch.randn(4, 4, dtype=F64, generator=torch.Generator().manual_seed(0))
    row = torch.arange(4).repeat(3)
    y = torch.eye(3, dtype=F64).repeat_interleave(4, 0)
    torch.testing.assert_close(decoder(z, y, row), decoder(z[row], y, None))
    assert decoder(z, y, row).shape == (12, 2, 3)


def test_heads_stay_in_full_precision_under_autocast() -> None:
    """A linear layer in bfloat16 loses digits; the heads compute in float32 and say so."""
    draw = torch.Generator().manual_seed(0)
    head, plain = nets.FullPrecisionLinear(64, 3), nn.Linear(64, 3)
    plain.load_state_dict(head.state_dict())
    h = torch.randn(5, 64, generator=draw)
    exact = head(h)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(head(h), exact) and head(h).dtype == torch.float32
        assert head(h.bfloat16()).dtype == torch.float32
        assert plain(h).dtype == torch.bfloat16
    assert not torch.equal(plain(h).bfloat16().float(), exact)
    head(h).sum().backward()
    assert head.weight.grad is not None and head.weight.grad.dtype == torch.float32


def test_mlp_flattens_and_has_a_layer_per_hidden_size() -> None:
    """Images go in; the last hidden size comes out."""
    network = nets.mlp(12, (7, 5), nn.ReLU)
    assert network(torch.zeros(2, 3, 2, 2)).shape == (2, 5)
    assert [type(layer) for layer in network] == [nn.Flatten, *[nn.Linear, nn.ReLU] * 2]
