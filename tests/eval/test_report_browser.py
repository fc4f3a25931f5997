"""A real browser shows the pages on phones and screens, light and dark, without overflow or complaint."""

import json
import re
import shutil
import subprocess
from html import escape, unescape
from pathlib import Path

import pytest
from reports import full

from aisle.eval.changes import Change, Paired
from aisle.eval.report import Context
from aisle.eval.report.compare_page import compare_html
from aisle.eval.report.html import html

FRAMES = Path(__file__).parent / "frames.html"
"""Frames as wide as devices (browsers refuse windows as narrow as a phone), and what is measured in them."""

WIDTHS = (360, 768, 1280)
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--enable-logging=stderr",
    "--window-size=1400,2000",
)
SCHEMES = {"dark": "0", "light": "1"}
"""What Blink calls them."""

CONTRAST = 4.5
"""Of text and what is behind it, at least: WCAG 2.2, success criterion 1.4.3."""


@pytest.fixture(scope="module")
def browser() -> str:
    found = shutil.which("chromium") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("no chromium on this machine")
    return found


def shown(browser: str, folder: Path, scheme: str, page: str) -> dict[str, dict[str, object]]:
    """What the browser measured of a page, all of it unfolded, by the width of the frame."""
    unfolded = re.sub(r"<details(?! open)", "<details open='open'", page)
    frames = "".join(
        f'<iframe style="width: {width}px" srcdoc="{escape(unfolded)}"></iframe>' for width in WIDTHS
    )
    (folder / "frames.html").write_text(FRAMES.read_text().replace("FRAMES", frames))
    flags = [
        *FLAGS,
        f"--blink-settings=preferredColorScheme={SCHEMES[scheme]}",
        f"--user-data-dir={folder}/profile",
    ]
    done = subprocess.run(
        [browser, *flags, "--dump-dom", f"file://{folder}/frames.html"],
        capture_output=True,
        text=True,
        timeout=240,
        check=True,
    )
    assert "CONSOLE" not in done.stderr, done.stderr
    found = re.search(r'<pre id="found">(.*?)</pre>', done.stdout, re.DOTALL)
    assert found is not None, done.stdout[-500:]
    return json.loads(unescape(found[1]))


def comparison_page() -> str:
    """Two reports that differ in everything that they may."""
    before = full()
    settings = {"run": {"retriever": {"dim": 128, "text": "a long value " * 30}}}
    after = before.with_context(Context(settings=settings, timings={"train": 9.0}, versions={"torch": "3"}))
    tested = before.comparisons[0].model_copy(update={"p_bootstrap": 0.2, "p_bootstrap_holm": 0.4})
    users = Paired(120, 80, tested)
    found = [
        Change(model, name, estimate.value, estimate.value + 0.001, users if name == "ndcg@10" else None)
        for model, estimates in before.models.items()
        for name, estimate in estimates.items()
    ]
    return compare_html(before, after, found)


PAGES = {"report": lambda: html(full()), "comparison": comparison_page}


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_pages_fit_and_can_be_read(browser: str, tmp_path: Path, scheme: str, page: str) -> None:
    found = shown(browser, tmp_path, scheme, PAGES[page]())
    assert list(found) == [str(width) for width in WIDTHS]
    for width, seen in found.items():
        assert seen["scheme"] == scheme
        assert seen["width"] <= int(width)
        assert seen["outside"] == []
        assert seen["pale"] == []
        assert seen["texts"] > 250


FAULTY = """<!DOCTYPE html><html><head><style>body { background: #fff } p { width: 600px }
i { color: #aaa }</style></head><body><p>wider than a phone</p>
<i>pale</i><script>console.error("complaint")</script></body></html>"""


def test_faults_are_seen(browser: str, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="complaint"):
        shown(browser, tmp_path, "light", FAULTY)
    (tmp_path / "again").mkdir()
    quiet = FAULTY.replace("console.error", "String")
    phone = shown(browser, tmp_path / "again", "light", quiet)["360"]
    assert (phone["width"], phone["outside"]) == (600 + 8, ["P.: wider than a phone"])
    assert phone["pale"] == ["2.32 I.: pale"]
