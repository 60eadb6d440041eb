"""The same loop in Pyro, which enumerates y in parallel (`TraceEnum_ELBO`), on the textbook's
networks."""

import pyro
import pyro.distributions as dist
import torch
from pyro.infer import TraceEnum_ELBO, config_enumerate
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from benchmarks.textbook import ALPHA, M2, endless


class WithPyro:
    """Minus the labeled and the unlabeled bound and the classifier's log likelihood, as `textbook`
    has them; Pyro makes the bounds."""

    def __init__(self, network: M2, labeled: TensorDataset, unlabeled: TensorDataset) -> None:
        self.network = network
        self.bound = TraceEnum_ELBO(max_plate_nesting=1, strict_enumeration_warning=False)
        self.optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
        self.labeled, self.unlabeled = endless(labeled), endless(unlabeled)

    def model(self, x: Tensor, features: Tensor, y: Tensor | None) -> None:
        """p(y) p(z) p(x|z, y)."""
        with pyro.plate("rows", len(x)):
            prior = dist.Categorical(logits=x.new_zeros(self.network.classes))
            y = pyro.sample("y", prior, obs=y)
            latent = self.network.mean.out_features
            z = pyro.sample("z", dist.Normal(x.new_zeros(latent), 1.0).to_event(1))
            one_hot = nn.functional.one_hot(y, self.network.classes).to(z.dtype)
            pairs = torch.broadcast_shapes(one_hot.shape[:-1], z.shape[:-1])
            both = torch.cat(
                [z.expand(*pairs, -1), one_hot.expand(*pairs, -1)], dim=-1
            )  # (K, B, D + K) where y is enumerated, else (B, D + K)
            logits = self.network.decoder(both.flatten(0, -2)).view(*pairs, *x.shape[1:])
            grey = dist.Bernoulli(logits=logits, validate_args=False)
            pyro.sample("x", grey.to_event(3), obs=x)

    def guide(self, x: Tensor, features: Tensor, y: Tensor | None) -> None:
        """q(y|x) q(z|x), from the features of x."""
        with pyro.plate("rows", len(x)):
            if y is None:
                pyro.sample("y", dist.Categorical(logits=self.network.classifier(features)))
            mean, log_variance = self.network.posterior(features)
            pyro.sample("z", dist.Normal(mean, torch.exp(0.5 * log_variance)).to_event(1))

    def loss(self, x_l: Tensor, y_l: Tensor, x_u: Tensor) -> Tensor:
        """What `textbook.loss` is, but for the noise."""
        enumerated = config_enumerate(self.guide, "parallel")
        of_l, of_u = self.network.features(x_l), self.network.features(x_u)
        labeled = self.bound.differentiable_loss(self.model, self.guide, x_l, of_l, y_l)
        unlabeled = self.bound.differentiable_loss(self.model, enumerated, x_u, of_u, None)
        classifier = nn.functional.cross_entropy(self.network.classifier(of_l), y_l)
        loss: Tensor = labeled / len(x_l) + unlabeled / len(x_u) + ALPHA * classifier
        return loss

    def run(self, steps: int) -> int:
        """Train for some steps; returns the number of unlabeled rows consumed."""
        rows = 0
        # Pyro checks its arguments unless it is told not to; the textbook does not.
        with pyro.validation_enabled(False):
            for _ in range(steps):
                x_l, y_l = next(self.labeled)
                (x_u,) = next(self.unlabeled)
                loss = self.loss(x_l, y_l, x_u)
                self.optimizer.zero_grad()
                loss.backward()
                self.optimizer.step()
                rows += len(x_u)
        return rows
