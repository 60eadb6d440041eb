"""Many examples, few labels: semi-supervised variational autoencoders that classify and generate.

>>> import semivae
>>> semivae.labels.Relaxed(tau=0.5)
Relaxed(tau=0.5)
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from semivae import (
        bounds,
        discriminative,
        label_draws,
        labels,
        objectives,
        smoothness,
        sums,
        terms,
        weighting,
    )
    from semivae.errors import InputError
    from semivae.estimators import SemiVAEClassifier
    from semivae.models.adgm import ADGM
    from semivae.models.m1 import M1
    from semivae.models.m1m2 import M1M2
    from semivae.models.m2 import M2
    from semivae.models.sdgm import SDGM
    from semivae.transformers import M1Transformer

    __version__: str

__all__ = [
    "ADGM",
    "InputError",
    "M1",
    "M1M2",
    "M1Transformer",
    "M2",
    "SDGM",
    "SemiVAEClassifier",
    "__version__",
    "bounds",
    "discriminative",
    "label_draws",
    "labels",
    "objectives",
    "smoothness",
    "sums",
    "terms",
    "weighting",
]

# Lazy (PEP 562): `semivae --help` must not wait for torch.
_HOME = {
    "ADGM": "semivae.models.adgm",
    "InputError": "semivae.errors",
    "M1": "semivae.models.m1",
    "M1M2": "semivae.models.m1m2",
    "M1Transformer": "semivae.transformers",
    "M2": "semivae.models.m2",
    "SDGM": "semivae.models.sdgm",
    "SemiVAEClassifier": "semivae.estimators",
}
_MODULES = frozenset(__all__) - _HOME.keys() - {"__version__"}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    if name in _MODULES:
        return import_module(f"semivae.{name}")
    if name == "__version__":
        from importlib.metadata import version  # a tenth of the time of `semivae --help`

        return version("semivae")
    raise AttributeError(f"module 'semivae' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
