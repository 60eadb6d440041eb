"""The layers of a model as hooks see them in a forward pass, and what one costs."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from semivae.label_draws import one_pair_each
from semivae.models.m2 import M2
from semivae.nets import Shape, SplitLinear, learned_values
from semivae.noise import Noise
from semivae.paper.printed import Facts

LAYERS = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear, SplitLinear)


class Layer(NamedTuple):
    """A layer with weights as a forward pass met it; `module` is its name in the model."""

    module: str
    facts: Facts
    parameters: int


def passes(model: M2, event: Shape) -> Iterator[None]:
    """One example through the encoder and its heads, then through the decoder: one per `next`."""
    noise = Noise(0, 0, (("one", 1),), model.log_prior.device)
    encoded = model.encode(torch.zeros(1, *event), noise)
    draws = one_pair_each(encoded.q_y.logits, encoded.q_y.probs)
    z = model.q_z(encoded.h, draws).mean
    yield
    model.p_x(z, draws)
    yield


def trace(model: M2, event: Shape) -> list[Layer]:
    """Every layer in the order of one forward pass, with the activation that follows it."""
    layers: list[Layer] = []
    outputs: list[tuple[Tensor, int]] = []  # each with the number of the layer it comes from

    def hook(name: str) -> Callable[[nn.Module, tuple[Any, ...], Any], None]:
        def record(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
            source = [number for tensor, number in outputs if tensor is inputs[0]][-1:]
            if isinstance(module, LAYERS):
                source = [len(layers)]
                layers.append(Layer(name, _facts(module, inputs, output), learned_values(module)))
            elif source and type(module).__module__ == nn.ReLU.__module__:  # an activation
                layer = layers[source[0]]
                facts = layer.facts._replace(activation=type(module).__name__)
                layers[source[0]] = layer._replace(facts=facts)
            outputs.extend((output, number) for number in source)

        return record

    handles = [module.register_forward_hook(hook(name)) for name, module in _leaves(model, "")]
    with torch.no_grad():
        list(passes(model, event))
    for handle in handles:
        handle.remove()
    return layers


def _leaves(module: nn.Module, prefix: str) -> Iterator[tuple[str, nn.Module]]:
    """The modules with nothing inside, by name; a layer is one whatever is inside."""
    for name, child in module.named_children():
        if isinstance(child, LAYERS) or not list(child.children()):
            yield prefix + name, child
        else:
            yield from _leaves(child, f"{prefix}{name}.")


def _facts(module: nn.Module, inputs: tuple[Any, ...], output: Float[Tensor, "M *X"]) -> Facts:
    read = [x[0].numel() for x in inputs if torch.is_tensor(x) and x.is_floating_point()]
    facts = Facts(
        type="Fully Connected",
        inputs=str(sum(read)),
        outputs=str(output.shape[1]),
        output_shape=f"({', '.join(map(str, output.shape[1:]))})",
        activation="none",
    )
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        kind = nn.ConvTranspose2d if isinstance(module, nn.ConvTranspose2d) else nn.Conv2d
        name = kind.__name__.replace("2d", "2D")
        kernel = "x".join(map(str, module.kernel_size))
        stride, padding = _side(module.stride), _side(module.padding)
        facts = facts._replace(type=name, kernel=kernel, stride=stride, padding=padding)
    if isinstance(module, nn.ConvTranspose2d):
        facts = facts._replace(output_padding=_side(module.output_padding))
    return facts


def _side(pair: tuple[int, ...] | str) -> str:
    """(2, 2) as 2, (2, 1) as 2x1; padding may be a word."""
    return pair if isinstance(pair, str) else "x".join(map(str, dict.fromkeys(pair)))


def multiply_adds(model: M2, event: Shape) -> tuple[int, int]:
    """Per example: of the encoder with its heads, and of the decoder."""
    counts, steps = [], passes(model, event)
    for _ in range(2):
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            next(steps)
        counts.append(counter.get_total_flops() // 2)
    return counts[0], counts[1]
