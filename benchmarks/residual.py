"""A residual network of ten layers for colour images of 32 pixels, as a user would bring it: a
network specification of one's own around an ordinary module."""

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional

from benchmarks import textbook
from semivae.convolutions import channels_last, conv_decoder
from semivae.models.networks import Parts
from semivae.nets import FullPrecisionLinear, LabelBlind, Shape

FEATURES = 128


class Block(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(before, after, 3, stride, padding=1)
        self.second = nn.Conv2d(after, after, 3, padding=1)
        same = before == after and stride == 1
        self.shortcut = nn.Identity() if same else nn.Conv2d(before, after, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.second(functional.relu(self.first(x))) + self.shortcut(x)
        return functional.relu(out)


def trunk(channels: int) -> nn.Sequential:
    """A convolution, four blocks, a linear layer: 10 layers, shortcuts aside."""
    return nn.Sequential(
        nn.Conv2d(channels, 32, 3, padding=1), nn.ReLU(),
        Block(32, 32, 1), Block(32, 64, 2), Block(64, 128, 2), Block(128, 128, 1),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(128, FEATURES), nn.ReLU(),
    )  # fmt: skip


@dataclass(frozen=True)
class ResidualCNN:
    """The trunk above with the paper's decoder of section 2.11."""

    latent: int = textbook.LATENT

    def factorized(self, event: Shape, classes: int) -> Parts:
        return Parts(
            trunk=channels_last(trunk(event[0])),
            classifier=FullPrecisionLinear(FEATURES, classes),
            latent=LabelBlind(nn.Identity(), FEATURES, self.latent),
            decoder=conv_decoder(event, classes, self.latent),
        )

    def conditional(self, event: Shape, classes: int) -> Parts:
        raise NotImplementedError("the benchmarks time q(z|x)")


def as_the_textbook_writes_it(image: textbook.Shape, classes: int) -> textbook.Networks:
    """The same layers in PyTorch's own layout, with the textbook's decoder."""
    convolutional = textbook.convolutional(image, classes)
    return convolutional._replace(
        features=trunk(image[0]), classifier=nn.Linear(FEATURES, classes), size=FEATURES
    )
