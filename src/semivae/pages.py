"""Pages that are one file each: templates, pictures inside the page, numbers as one reads them.

Everything that came from a user (class names, commands, warnings) is escaped by the templates.
"""

from base64 import b64encode
from collections.abc import Mapping
from math import isfinite
from typing import TYPE_CHECKING, NamedTuple

import jinja2

from semivae import plots

if TYPE_CHECKING:
    from semivae.plots import Figure


def percent(share: float) -> str:
    """A share from 0 to 1 with one decimal and its unit; a dash for nan.

    >>> percent(0.9714)
    '97.1 %'
    """
    return f"{100 * share:.1f} %" if isfinite(share) else "–"


def duration(seconds: float) -> str:
    """Seconds in the units one would say.

    >>> duration(8.24), duration(59.97), duration(192.0), duration(7440.0)
    ('8.2 s', '1 min 0 s', '3 min 12 s', '2 h 04 min')
    """
    if seconds < 59.95:  # what would print as 60.0 s is a minute
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return (
        f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"
    )


class Picture(NamedTuple):
    """A figure inside the page; `width` in CSS pixels keeps its text at the size it was set in."""

    src: str
    width: int


def picture(figure: "Figure") -> Picture:
    """A figure as PNG inside the page."""
    return Picture(inside(plots.to_png(figure)), round(96 * figure.get_figwidth()))


def inside(png: bytes) -> str:
    """A PNG file as the address of an image."""
    return "data:image/png;base64," + b64encode(png).decode("ascii")


def render(template: str, context: Mapping[str, object]) -> str:
    """The text of a page from one of our templates."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("semivae"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,  # a renamed field is an error, not a blank
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(percent=percent, duration=duration, count="{:,}".format)
    return environment.get_template(template).render(context)
