"""The pages are true: their programs print what they show, and their links lead somewhere."""

import re

import pages
import pytest

pytestmark = pytest.mark.repository

every_page = pytest.mark.parametrize("page", pages.PAGES, ids=lambda page: str(page.relative_to(pages.ROOT)))


@every_page
def test_programs_print_what_the_page_shows(page, seeded, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # a page may write files
    pages.run(page)


@every_page
def test_links_lead_somewhere(page):
    assert pages.dead_links(page) == []


def test_every_page_is_in_the_index():
    index = (pages.ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    missing = [page.name for page in (pages.ROOT / "docs").glob("*.md") if f"({page.name})" not in index]
    assert missing == ["README.md"]


def test_the_house_as_built_names_every_file():
    page = (pages.ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    files = [file.stem for file in (pages.ROOT / "tensorgraph").rglob("*.py") if file.stem != "__init__"]
    assert [name for name in files if not re.search(rf"\b{name}\b", page)] == []
