"""The M2 training loop that a careful user writes from the paper, to measure ours against.

Plain float32 PyTorch on the paper's networks or Kingma's: two data loaders, one pass of the
network for the labeled rows and one for the unlabeled, the exact sum over the classes, Bernoulli
likelihood, Adam at 1e-3. The sum is written in both usual ways, one decoder pass per class or one
pass over K times B rows; which is faster depends on processor and shapes.
"""

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

BATCH = 128  # labeled rows per step, and as many unlabeled ones
LATENT = 50
Shape = tuple[int, int, int]  # channels, height, width
ALPHA = 50.0  # the paper does not state it; speed does not depend on it


class Networks(NamedTuple):
    """What M2 is made of: features of x, from which class logits and the head of q(z|x) are made,
    and the decoder of [z; y]."""

    features: nn.Module
    classifier: nn.Module
    hidden: nn.Module  # to `size` features, on which mean and log variance of q(z|x) stand
    size: int
    decoder: nn.Module


def convolutional(image_shape: Shape, classes: int) -> Networks:
    """The paper's networks (Raj 2025, sections 2.10 and 2.11)."""
    channels, height, width = image_shape
    small = (64, height // 4, width // 4)
    flat = math.prod(small)
    return Networks(
        features=nn.Sequential(
            nn.Conv2d(channels, 32, 3, stride=2, padding=1), nn.ReLU(),
            nn.Conv2d(32, 64, 3, stride=2, padding=1), nn.ReLU(),
            nn.Flatten(), nn.Linear(flat, 512), nn.ReLU(),
        ),
        classifier=nn.Linear(512, classes),
        hidden=nn.Identity(),
        size=512,
        decoder=nn.Sequential(
            nn.Linear(LATENT + classes, 512), nn.ReLU(),
            nn.Linear(512, flat), nn.ReLU(), nn.Unflatten(1, small),
            nn.ConvTranspose2d(64, 32, 3, stride=2, padding=1, output_padding=1), nn.ReLU(),
            nn.ConvTranspose2d(32, channels, 3, stride=2, padding=1, output_padding=1),
        ),
    )  # fmt: skip


def perceptron(image_shape: Shape, classes: int) -> Networks:
    """Kingma's networks, one hidden layer of 500 softplus units each."""
    pixels = math.prod(image_shape)
    return Networks(
        features=nn.Flatten(),
        classifier=nn.Sequential(nn.Linear(pixels, 500), nn.Softplus(), nn.Linear(500, classes)),
        hidden=nn.Sequential(nn.Linear(pixels, 500), nn.Softplus()),
        size=500,
        decoder=nn.Sequential(
            nn.Linear(LATENT + classes, 500), nn.Softplus(),
            nn.Linear(500, pixels), nn.Unflatten(1, image_shape),
        ),
    )  # fmt: skip


class M2(nn.Module):
    """Encoder, classifier and decoder; q(z|x) does not see y, as in the paper's equation 2."""

    def __init__(self, networks: Networks, classes: int) -> None:
        super().__init__()
        self.classes = classes
        self.features, self.classifier, self.hidden = networks[:3]
        self.mean = nn.Linear(networks.size, LATENT)
        self.log_variance = nn.Linear(networks.size, LATENT)
        self.decoder = networks.decoder

    def posterior(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance of q(z|x), (B, D) both."""
        hidden = self.hidden(features)
        return self.mean(hidden), self.log_variance(hidden)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Class logits (B, K), one sample z (B, D) and KL(q(z|x) || p(z)) (B,)."""
        features = self.features(x)
        mean, log_variance = self.posterior(features)
        z = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
        kl = 0.5 * (mean.square() + log_variance.exp() - 1.0 - log_variance).sum(1)
        return self.classifier(features), z, kl

    def log_likelihood(self, x: Tensor, z: Tensor, y: Tensor) -> Tensor:
        """log p(x|z,y) of grey pixels under a Bernoulli, (B,), for class numbers y (B,)."""
        one_hot = nn.functional.one_hot(y, self.classes).to(z.dtype)
        logits = self.decoder(torch.cat([z, one_hot], dim=1))
        per_pixel = nn.functional.binary_cross_entropy_with_logits(logits, x, reduction="none")
        return -per_pixel.sum((1, 2, 3))


ClassSum = Callable[[M2, Tensor, Tensor], Tensor]  # network, x (B, ...), z (B, D) -> (B, K)


def one_pass_per_class(network: M2, x: Tensor, z: Tensor) -> Tensor:
    """log p(x|z,y) for every class (B, K), by K decoder passes of B rows."""
    every = [torch.full((len(x),), k, device=x.device) for k in range(network.classes)]
    return torch.stack([network.log_likelihood(x, z, y) for y in every], dim=1)


def one_pass_of_repeated_rows(network: M2, x: Tensor, z: Tensor) -> Tensor:
    """log p(x|z,y) for every class (B, K), by one decoder pass of B K rows."""
    k = network.classes
    y = torch.arange(k, device=x.device).repeat(len(x))
    repeated = x.repeat_interleave(k, dim=0), z.repeat_interleave(k, dim=0)
    return network.log_likelihood(*repeated, y).view(len(x), k)


def loss(network: M2, class_sum: ClassSum, x_l: Tensor, y_l: Tensor, x_u: Tensor) -> Tensor:
    """Minus Kingma's objective for one step: labeled and unlabeled bound, and the classifier."""
    log_p_y = -math.log(network.classes)
    logits, z, kl = network.encode(x_l)
    labeled = network.log_likelihood(x_l, z, y_l) + log_p_y - kl
    classifier = nn.functional.cross_entropy(logits, y_l)
    logits, z, kl = network.encode(x_u)
    log_q = torch.log_softmax(logits, dim=1)
    per_class = class_sum(network, x_u, z) + log_p_y - log_q
    unlabeled = (log_q.exp() * per_class).sum(1) - kl
    return -labeled.mean() - unlabeled.mean() + ALPHA * classifier


def endless(rows: TensorDataset) -> Iterator[list[Tensor]]:
    """Shuffled batches, epoch after epoch."""
    loader = DataLoader(rows, batch_size=BATCH, shuffle=True, drop_last=True)
    while True:
        yield from loader


class Textbook:
    """The loop itself, stopped and continued between timings."""

    def __init__(
        self, network: M2, class_sum: ClassSum, labeled: TensorDataset, unlabeled: TensorDataset
    ) -> None:
        """Rows: float images (N, C, H, W) from 0 to 1, the labeled ones with class numbers."""
        self.network = network
        self.class_sum = class_sum
        self.optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
        self.labeled, self.unlabeled = endless(labeled), endless(unlabeled)

    def run(self, steps: int) -> int:
        """Train for some steps; returns the number of unlabeled rows consumed."""
        rows = 0
        for _ in range(steps):
            x_l, y_l = next(self.labeled)
            (x_u,) = next(self.unlabeled)
            step_loss = loss(self.network, self.class_sum, x_l, y_l, x_u)
            self.optimizer.zero_grad()
            step_loss.backward()
            self.optimizer.step()
            rows += len(x_u)
        return rows


@torch.no_grad()
def predict_proba(network: M2, images: Tensor) -> Tensor:
    """q(y|x) of float images, a thousand at a time."""
    network.eval()
    parts = [network.classifier(network.features(part)) for part in images.split(1000)]
    return torch.softmax(torch.cat(parts), dim=1)
