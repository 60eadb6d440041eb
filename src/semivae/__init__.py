"""Many examples, few labels: semi-supervised variational autoencoders that classify and generate.

>>> import semivae
>>> semivae.labels.Relaxed(tau=0.5)
Relaxed(tau=0.5)
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from semivae import bounds, labels, objectives, terms
    from semivae.errors import InputError
    from semivae.estimators import SemiVAEClassifier
    from semivae.models.m2 import M2

    __version__: str

__all__ = [
    "InputError",
    "M2",
    "SemiVAEClassifier",
    "__version__",
    "bounds",
    "labels",
    "objectives",
    "terms",
]

# Lazy (PEP 562): `semivae --help` must not wait for torch.
_HOME = {
    "InputError": "semivae.errors",
    "M2": "semivae.models.m2",
    "SemiVAEClassifier": "semivae.estimators",
}
_MODULES = frozenset({"bounds", "labels", "objectives", "terms"})


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
