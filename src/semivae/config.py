"""Configurations as plain values: to and from JSON, and `KEY=VALUE` changes to them.

The dictionaries below are closed, and the only place where a string selects a class or a function.
"""

import dataclasses
import math
from collections.abc import Mapping
from types import NoneType
from typing import Any, TypeVar, cast, get_args, get_type_hints

from semivae import labels, objective_specs, objectives, optimizers, terms, weighting
from semivae.data.views import Views
from semivae.errors import InputError
from semivae.models import deep_networks, networks, specs
from semivae.schedules import Ramp
from semivae.smoothness import Smoothness
from semivae.training import Training

CHOICES: Mapping[str, Mapping[str, Any]] = {
    "network": {
        "paper-cnn": networks.PaperCNN,
        "paper-cnn-4.3": networks.PaperCNN43,
        "kingma-mlp": networks.KingmaMLP,
        "mlp": networks.MLP,
        "stacked-mlp": deep_networks.StackedMLP,
        "auxiliary-mlp": deep_networks.AuxiliaryMLP,
    },
    "family": {
        "factorized": specs.Factorized,
        "conditional": specs.Conditional,
        "m1m2": specs.Stacked,
        "adgm": specs.Auxiliary,
        "sdgm": specs.SkipAuxiliary,
    },
    "likelihood": {
        "bernoulli": specs.Bernoulli,
        "binarized": specs.Binarized,
        "gaussian": specs.Gaussian,
        "learned-gaussian": specs.LearnedSigma,
        "rectified-gaussian": specs.Rectified,
    },
    "labels": {
        "enumerated": labels.Enumerated,
        "pruned": labels.Pruned,
        "relaxed": labels.Relaxed,
        "sampled": labels.Sampled,
        "straight_through": labels.StraightThrough,
    },
    "objective": {
        "equation_8": objective_specs.Equation8,
        "labeled_elbo": objective_specs.LabeledELBO,
        "kingma_2014": objective_specs.Kingma2014,
        "kingma_j": objective_specs.KingmaJ,
        "optimized_labeled": objective_specs.OptimizedLabeled,
        "tight_labeled": objective_specs.TightLabeled,
        "optimized_elbo": objective_specs.OptimizedELBO,
        "optimized_elbo_literal": objective_specs.OptimizedELBOLiteral,
        "modified_elbo": objective_specs.ModifiedELBO,
        "survey3_j": objective_specs.Survey3J,
        "shot_mnist": objective_specs.ShotMNIST,
        "information_maximization": objective_specs.InformationMaximization,
    },
    "optimizer": {"adam": optimizers.Adam, "adamw": optimizers.AdamW},
    "learning_rate": {"constant": optimizers.Constant, "one-cycle": optimizers.OneCycle},
    "weighting": {
        "balanced": weighting.balanced,
        "dataset": weighting.dataset,
        "sums": weighting.sums,
    },
    "label_divergence": {
        "forward": objectives.forward_divergence,
        "reverse": objectives.reverse_divergence,
        "smoothed-prior": objectives.smoothed_prior_divergence,
        "tight": objectives.tight_divergence,
    },
    "information": {
        "running": terms.RunningMutualInformation,
        "batch": terms.MutualInformation,
    },
}
REFERENCES = ("weighting", "label_divergence", "information")  # stored by name, not built
Value = TypeVar("Value")


def to_plain(value: Any, field: str = "") -> Any:
    """A configuration as JSON values; a dataclass carries its name as "kind"."""
    if field in REFERENCES:
        return _name_of(field, value)
    if isinstance(value, Ramp):
        return {"ramp": [value.start, value.end, value.until]}
    if dataclasses.is_dataclass(value):
        plain = {
            part.name: to_plain(getattr(value, part.name), part.name)
            for part in dataclasses.fields(value)
        }
        return {"kind": _name_of(field, type(value)), **plain} if field in CHOICES else plain
    return value


def from_plain(cls: type[Value], plain: Mapping[str, Any]) -> Value:
    """The configuration of which `to_plain` made these values; unknown names are an error."""
    fields = {part.name for part in dataclasses.fields(cast(Any, cls))}
    unknown = sorted(set(plain) - fields)
    if unknown:
        raise InputError(f"unknown entries in the configuration: {', '.join(unknown)}")
    return cls(**{name: _from_plain(name, value) for name, value in plain.items()})


def _from_plain(field: str, value: Any) -> Any:
    if field in REFERENCES:
        return choose(field, value)
    if isinstance(value, Mapping) and "ramp" in value:
        return Ramp(*value["ramp"])
    if isinstance(value, Mapping) and field in CHOICES:
        rest = {name: part for name, part in value.items() if name != "kind"}
        return from_plain(choose(field, value["kind"]), rest)
    if isinstance(value, Mapping):
        return from_plain(_NESTED[field], value)
    return value


def set_value(config: Value, key: str, text: str) -> Value:
    """The configuration with one entry changed, as `--set objective.beta=2` asks.

    >>> from semivae.labels import Relaxed
    >>> set_value(Relaxed(tau=0.5), "tau", "0.3")
    Relaxed(tau=0.3)
    """
    changed: Value = _changed(config, key, key, text)
    return changed


def _changed(config: Any, rest_of_key: str, key: str, text: str) -> Any:
    """`set_value` for what remains of a key; `key` is the whole of it, for the errors."""
    head, _, rest = rest_of_key.partition(".")
    names = [part.name for part in dataclasses.fields(config)]
    if head not in names:
        known = f"only {', '.join(names)}" if names else "it has no settings"
        raise InputError(f"{key}: there is no {head!r} here, {known}")
    old = getattr(config, head)
    if head in _NESTED and old is None and (rest or text != "none"):
        raise InputError(
            f"{key}={text}: this recipe has no {head} stage, choose one that has, such as "
            "m1m2-refined"
        )
    if rest:
        if not dataclasses.is_dataclass(old):
            raise InputError(f"{key}: {head!r} is a single value, it has no {rest!r}")
        new = _changed(old, rest, key, text)
    elif head in CHOICES:
        chosen = choose(head, text)
        new = chosen if head in REFERENCES else chosen()
    elif dataclasses.is_dataclass(old) and not isinstance(old, Ramp):  # a ramp is one weight
        inside = ", ".join(f"{key}.{part.name}" for part in dataclasses.fields(old))
        raise InputError(f"{key}={text}: {head!r} has several values, name one: {inside}")
    else:
        new = _parse(key, text, old, get_type_hints(type(config))[head])
    try:
        return dataclasses.replace(config, **{head: new})
    except ValueError as error:
        raise InputError(f"{key}={text}: {error}") from error


def choose(field: str, name: str) -> Any:
    """What `name` stands for in a field with closed choices."""
    try:
        return CHOICES[field][name]
    except (KeyError, TypeError):
        raise InputError(f"{field}={name}: choose one of {', '.join(CHOICES[field])}") from None


def _name_of(field: str, chosen: Any) -> str:
    return next(name for name, value in CHOICES[field].items() if value is chosen)


def _parse(key: str, text: str, old: Any, hint: Any) -> Any:
    """A value of the type of its field: a number, `none` or `ramp(start, end, until)`."""
    kinds = get_args(hint) or (hint,)
    try:
        if bool in kinds:
            return {"true": True, "false": False}[text.lower()]
        if text == "none" and NoneType in kinds:
            return None
        if text.startswith("ramp(") and text.endswith(")") and Ramp in kinds:
            return Ramp(*(float(part) for part in text[5:-1].split(",")))
        number = int(text) if int in kinds else float(text)
        if not math.isfinite(number):
            raise ValueError("not finite")
        return number
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{key}={text}: not a value like {old} ({error})") from error


_NESTED: Mapping[str, type] = {
    "training": Training,
    "baseline": Training,
    "pretraining": Training,
    "refining": Training,
    "smoothness": Smoothness,
    "views": Views,
}
