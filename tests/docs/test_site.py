"""The site builds without a warning and asks nothing of a network, and links of all pages lead somewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from blocks import blocks
from markdown.extensions.toc import slugify

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    page.relative_to(ROOT)
    for found in ("*.md", "docs/**/*.md", "clients/*/README.md", "bench/*.md")
    for page in ROOT.glob(found)
)
_LINK = re.compile(r"(?<!\!)\[[^\]]*\]\(([^)\s]+)\)")
_LOADED = re.compile(
    r'<(?:script|img|iframe)[^>]*\ssrc="?(?:https?:)?//|<link[^>]*rel="?(?:stylesheet|preconnect)[^>]*//'
)


def prose(page: Path) -> str:
    """The page without its blocks."""
    lines = page.read_text(encoding="utf-8").splitlines()
    for block in blocks(page):
        first = block.line - 1
        for number in range(first, first + block.text.count("\n") + 1):
            lines[number] = ""
    return "\n".join(lines)


def anchors(page: Path) -> set[str]:
    """Of its headings, as the site and GitHub make them."""
    return {
        slugify(re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", r"\1", heading), "-")
        for heading in re.findall(r"^#+ (.+?)\s*$", prose(page), re.MULTILINE)
    }


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_links_lead_somewhere(page: Path) -> None:
    for link in _LINK.findall(prose(ROOT / page)):
        if re.match(r"\w+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (ROOT / page).parent / path if path else ROOT / page
        assert target.exists(), f"{page}: {link}"
        if anchor:
            assert anchor in anchors(target), f"{page}: {link}"


def test_the_site_builds_and_needs_no_network(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", str(tmp_path / "site")]

    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert built.returncode == 0, built.stderr
    pages = list((tmp_path / "site").rglob("*.html"))
    assert len(pages) > 30
    for page in pages:
        assert not _LOADED.search(page.read_text(encoding="utf-8")), page
