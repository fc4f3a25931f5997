"""What an evaluation found: `report.json`, a table for the terminal, and `report.html`."""

from pathlib import Path

from aisle.data.errors import InputError
from aisle.eval.report.context import Context
from aisle.eval.report.schema import Report
from aisle.eval.report.table import table, tables

__all__ = ["Context", "Report", "table", "tables", "write_report"]


def write_report(report: Report, folder: Path) -> tuple[Path, Path]:
    """Write `report.json` and `report.html` into `folder`, and return their paths.

    Raises:
        InputError: `folder` is a file.
    """
    from aisle.eval.report.html import html  # nobody needs jinja2 to read a report

    if folder.exists() and not folder.is_dir():
        raise InputError("a folder for the report", f"the file {folder}", "name another place (--out)")
    folder.mkdir(parents=True, exist_ok=True)
    as_json, as_html = folder / "report.json", folder / "report.html"
    as_json.write_text(report.to_json(), encoding="utf-8")
    as_html.write_text(html(report), encoding="utf-8")
    return as_json, as_html
