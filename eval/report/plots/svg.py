"""Elements of SVG. Colours and letters come from the page around them, through classes."""

import re
from collections.abc import Sequence
from typing import Literal
from unicodedata import east_asian_width

from markupsafe import Markup, escape

Role = Literal["ours", "part", "rival", "other", "published", "wanted"]
"""What is drawn: the judged model, other models of ours, the one it is held against, the rest, figures of
others, and what users wanted. The page has a colour for each."""

WIDTH = 340
"""Of every plot, in units that are pixels on a phone; a wide page sets several plots side by side."""

LETTER = 6.1
"""Width of a letter, about, at the size of the page's plots (11)."""


def element(name: str, *inside: Markup | str, **attributes: str | float) -> Markup:
    """An element; `class_` and `text_anchor` are attributes `class` and `text-anchor`."""
    said = "".join(f' {_name(key)}="{escape(_text(value))}"' for key, value in attributes.items())
    if not inside:
        return Markup(f"<{name}{said} />")
    return Markup(f"<{name}{said}>{''.join(escape(one) for one in inside)}</{name}>")


def drawing(height: float, name: str, inside: Sequence[Markup]) -> Markup:
    """A whole plot.

    Args:
        height: in the units of `WIDTH`.
        name: what a screen reader says.
        inside: its elements, the first one at the back.
    """
    return element(
        "svg",
        *inside,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {WIDTH} {_text(height)}",
        role="img",
        aria_label=name,
    )


def marked(role: Role, title: str, *inside: Markup) -> Markup:
    """Elements in the colour of a role, and what browsers say of them under the pointer."""
    return element("g", element("title", title), *inside, class_=role)


def text(x: float, y: float, said: str, *, anchor: str = "start", kind: str = "") -> Markup:
    """Words at a place; `anchor` is where of the words that is, `kind` further classes."""
    return element("text", said, x=x, y=y, text_anchor=anchor, class_=kind or "tick")


def path(points: Sequence[tuple[float, float]], *, kind: str, closed: bool = False) -> Markup:
    """A line through points, or the area within it."""
    steps = " ".join(f"{_text(x)} {_text(y)}" for x, y in points)
    return element("path", d=f"M{steps}{'Z' if closed else ''}", class_=kind)


def width_of(said: str) -> float:
    """About how wide words are; those of Chinese, Japanese and Korean are twice as wide."""
    return LETTER * sum(2 if east_asian_width(letter) in "WF" else 1 for letter in said)


def fitted(said: str, room: float) -> str:
    """Words cut to the room that there is.

    >>> fitted("two_tower", 200), fitted("a very long name of a model", 80)
    ('two_tower', 'a very long…')
    """
    if width_of(said) <= room:
        return said
    while said and width_of(said) + LETTER > room:
        said = said[:-1]
    return said.rstrip() + "…"


def _name(key: str) -> str:
    return re.sub("_", "-", key.rstrip("_")) if key != "viewBox" else key


def _text(value: str | float) -> str:
    return value if isinstance(value, str) else f"{round(value, 1):g}"
