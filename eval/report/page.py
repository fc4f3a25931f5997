"""Pages that need nothing else: no script, no font, no request."""

from importlib.resources import files

from jinja2 import Environment, FunctionLoader
from markupsafe import Markup


def render(template: str, **parts: object) -> str:
    """A page from a template of this folder; well-formed XML as well as HTML, for any parser."""
    pages = Environment(loader=FunctionLoader(_file), autoescape=True, trim_blocks=True, lstrip_blocks=True)
    pages.filters |= {
        "exact": repr,
        "short": "{:.4f}".format,
        "signed": "{:+.4f}".format,
        "percent": "{:.0%}".format,
    }
    return pages.get_template(template).render(css=Markup(_file("report.css")), **parts)


def _file(name: str) -> str:
    return (files("aisle.eval.report") / name).read_text(encoding="utf-8")
