"""The run directory: model, configuration, checkpoint, metrics and split; safetensors and JSON, no
pickle."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from semivae.config import from_plain, to_plain
from semivae.data.scaling import Scaling
from semivae.errors import InputError
from semivae.files import append_text, write_bytes, write_text
from semivae.models.base import DeepGenerativeModel
from semivae.predictor import Predictor
from semivae.recipe import DataFacts, Recipe
from semivae.stages import new_model
from semivae.training import EpochLog, Snapshot

SCHEMA = 2
MODEL, CONFIG = "model.safetensors", "config.json"
CHECKPOINT, CHECKPOINT_STATE = "checkpoint.safetensors", "checkpoint.json"
GROUPS = "optimizer groups"  # in the metadata of the former
METRICS, SPLIT, REPORT = "metrics.jsonl", "split.json", "report.html"


@dataclass(frozen=True)
class RunConfig:
    """What `config.json` holds: enough to rebuild the model, and to repeat the run.

    For the record: `preprocessing`, the shift and scale of x, which is read as (x - shift) / scale
    (loading takes those of the weights' file), and `settings`, the values of the command that made
    the run (data, labels, ...).
    """

    recipe_name: str
    recipe: Recipe
    seed: int
    classes: tuple[str, ...]
    event: tuple[int, ...]
    preprocessing: dict[str, Any]
    settings: dict[str, Any]

    def to_json(self) -> str:
        """The configuration as JSON text."""
        plain = {
            "schema": SCHEMA,
            "recipe_name": self.recipe_name,
            "seed": self.seed,
            "classes": list(self.classes),
            "event": list(self.event),
            "preprocessing": self.preprocessing,
            "settings": self.settings,
            "recipe": to_plain(self.recipe),
        }
        return json.dumps(plain, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "RunConfig":
        """Reads what `to_json` wrote; another schema is an `InputError`."""
        plain = json.loads(text)
        if plain.get("schema") != SCHEMA:
            raise InputError(
                f"config.json has schema {plain.get('schema')}, this version reads {SCHEMA}"
            )
        return cls(
            plain["recipe_name"],
            from_plain(Recipe, plain["recipe"]),
            plain["seed"],
            tuple(plain["classes"]),
            tuple(plain["event"]),
            plain.get("preprocessing", {}),  # runs of before do not say it here
            plain["settings"],
        )


def save(folder: Path, config: RunConfig, predictor: Predictor) -> None:
    """Writes the two files that loading needs."""
    tensors = {f"model.{name}": t for name, t in predictor.model.state_dict().items()}
    scaling = {f"scaling.{name}": t for name, t in predictor.scaling._asdict().items()}
    write_bytes(folder / MODEL, save_tensors(_contiguous(tensors | scaling)))
    write_text(folder / CONFIG, config.to_json())


def load(folder: Path) -> tuple[RunConfig, Predictor]:
    """A saved run; `InputError` where a file is missing, foreign or does not fit the other."""
    config = load_config(folder)
    tensors = _read_tensors(folder / MODEL)
    predictor = Predictor(
        _model_of(config, _part(tensors, "model.")),
        _scaling_of(folder / MODEL, _part(tensors, "scaling.")),
        config.classes,
        config.event,
        config.recipe.training.bfloat16,
    )
    predictor.model.eval()
    return config, predictor


def load_config(folder: Path) -> RunConfig:
    """The configuration of a run, finished or not."""
    path = folder / CONFIG
    try:
        return RunConfig.from_json(path.read_text())
    except OSError as error:
        why = f"{CONFIG} cannot be read" if folder.is_dir() else "there is no such folder"
        raise InputError(f"{folder} is not a run: {why}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} is not the configuration of a run ({error})") from error


def load_split(folder: Path) -> Any:
    """What `split.json` holds."""
    try:
        return json.loads((folder / SPLIT).read_text())
    except (OSError, ValueError) as error:
        raise InputError(f"{folder / SPLIT} is missing or damaged ({error})") from error


def save_checkpoint(folder: Path, model: DeepGenerativeModel, snapshot: Snapshot) -> None:
    """Writes all that resuming needs: tensors, and in the same file, so that no kill parts them,
    the optimizer's settings as JSON; then that there is a checkpoint."""
    tensors = {f"model.{name}": t for name, t in model.state_dict().items()}
    tensors |= {f"buffer.{name}": t for name, t in snapshot.buffers.items()}
    for index, state in snapshot.optimizer["state"].items():
        tensors |= {f"optimizer.{index}.{name}": t for name, t in state.items()}
    tensors["epoch"] = torch.tensor(snapshot.epoch)
    groups = {GROUPS: json.dumps(snapshot.optimizer["param_groups"])}
    write_bytes(folder / CHECKPOINT, save_tensors(_contiguous(tensors), groups))
    state = {"schema": SCHEMA, "epoch": snapshot.epoch}
    write_text(folder / CHECKPOINT_STATE, json.dumps(state) + "\n")


def load_checkpoint(folder: Path, config: RunConfig) -> tuple[DeepGenerativeModel, Snapshot]:
    """The model and the snapshot that `save_checkpoint` wrote."""
    path = folder / CHECKPOINT
    tensors = _read_tensors(path)
    try:
        with safe_open(path, "pt") as file:
            groups = json.loads(file.metadata()[GROUPS])
        epoch = int(tensors["epoch"])
        if not (isinstance(groups, list) and groups and "params" in groups[0]):
            raise ValueError("no settings of an optimizer")
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is no checkpoint of this version ({error!r})") from error
    model = _model_of(config, _part(tensors, "model."))
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in _part(tensors, "optimizer.").items():
        index, key = name.split(".", 1)
        state.setdefault(int(index), {})[key] = tensor
    optimizer = {"state": state, "param_groups": groups}
    return model, Snapshot(epoch, optimizer, _part(tensors, "buffer."))


def append_metrics(folder: Path, log: EpochLog, accuracies: Mapping[str, float]) -> None:
    """Adds one epoch to `metrics.jsonl`, with the accuracies (shares of rows) that it reached."""
    append_text(folder / METRICS, json.dumps(metrics_line(log) | dict(accuracies)) + "\n")


def read_metrics(folder: Path, epochs: int | None = None) -> list[dict[str, Any]]:
    """The epochs logged so far (the first `epochs` of them); a line cut short by a kill is
    dropped."""
    lines = []
    path = folder / METRICS
    for text in path.read_bytes().splitlines() if path.exists() else []:
        try:
            line = json.loads(text)
        except ValueError:  # no JSON, or no text at all
            break
        if not isinstance(line, dict):
            break
        lines.append(line)
    return lines if epochs is None else lines[:epochs]


def metrics_line(log: EpochLog) -> dict[str, Any]:
    """One epoch as a line of `metrics.jsonl`: every term by name, in nats per example.

    What was measured on the probe, if there is one, follows as `probe/NAME`, with its seconds.
    """
    apart = ("terms", "probe", "probe_seconds")
    scalars = {name: value for name, value in log._asdict().items() if name not in apart}
    if not log.probe:
        return scalars | log.terms
    probe = {f"probe/{name}": value for name, value in log.probe.items()}
    return scalars | log.terms | {"probe_seconds": log.probe_seconds} | probe


def _model_of(config: RunConfig, weights: dict[str, Tensor]) -> DeepGenerativeModel:
    facts = DataFacts(config.event, 0, 0, len(config.classes))
    try:
        model = new_model(facts, config.recipe, config.seed)
        model.load_state_dict(weights)
    except (RuntimeError, ValueError, TypeError) as error:
        first = " ".join(str(error).splitlines()[:2])
        raise InputError(f"the weights do not fit {CONFIG}: {first}") from error
    return model


def _scaling_of(path: Path, tensors: dict[str, Tensor]) -> Scaling:
    try:
        return Scaling(tensors["shift"], tensors["scale"])
    except KeyError as error:
        raise InputError(f"{path} lacks the scaling of x ({error}): it is not a model") from error


def _read_tensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_tensors(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path} is missing: the run is not finished, or not a run") from error
    except SafetensorError as error:
        raise InputError(f"{path} is damaged or not a safetensors file ({error})") from error


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}


def _contiguous(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    # safetensors stores plain row-major data; channels-last weights keep their values.
    return {
        name: tensor.detach().to(torch.device("cpu")).contiguous()
        for name, tensor in tensors.items()
    }


def objective_name(recipe: Recipe) -> str:
    """The name of a recipe's objective."""
    name: str = to_plain(recipe)["objective"]["kind"]
    return name
