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
    folder = pages.ROOT / "docs"
    names = [page.relative_to(folder).as_posix() for page in folder.rglob("*.md")]
    assert sorted(name for name in names if f"({name})" not in index) == ["README.md", "index.md"]


def test_the_site_has_every_page():
    site = (pages.ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    index = (pages.ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    linked = re.findall(r"\]\(([\w/-]+)\.md\)", index)
    assert sorted(re.findall(r"^[\w/-]+$", site, re.MULTILINE)) == sorted(set(linked))


def test_the_lines_of_the_kernels_that_are_shown_are_theirs():
    page = (pages.ROOT / "docs" / "adding-a-kernel.md").read_text(encoding="utf-8")
    sources = [file.read_text(encoding="utf-8") for file in (pages.ROOT / "tensorgraph/kernels/src").iterdir()]
    shown = [
        line
        for block in re.findall(r"^```cpp\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
        for line in block.splitlines()
    ]
    assert shown
    assert [line for line in shown if not any(line in source for source in sources)] == []


def test_the_house_as_built_names_every_file():
    page = (pages.ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    files = [file.stem for file in (pages.ROOT / "tensorgraph").rglob("*.py") if file.stem != "__init__"]
    assert [name for name in files if not re.search(rf"\b{name}\b", page)] == []
