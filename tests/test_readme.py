"""What the README promises a newcomer, and what the checker of the pages must catch."""

import re

import pages
import pytest

pytestmark = pytest.mark.repository


@pytest.mark.parametrize("end", ["python -m nn train", "python -m pytest"])
def test_one_line_sets_up_and_does_it(end):
    """.ci/run takes the command from this line too."""
    readme = (pages.ROOT / "README.md").read_text(encoding="utf-8")
    (command,) = [line for line in readme.splitlines() if line.endswith(end)]
    assert command.startswith("python3 -m venv .venv && .venv/bin/pip install -e ")


@pytest.mark.parametrize("page", pages.PAGES, ids=lambda page: str(page.relative_to(pages.ROOT)))
def test_no_page_tells_to_install_the_unrelated_projects_of_the_same_names(page):
    assert not re.search(r"install (-\S+ )*(tensorgraph|nn)\b(?!-nn)", page.read_text(encoding="utf-8"))


def shown_page(tmp_path, text):
    page = tmp_path / "page.md"
    page.write_text(text, encoding="utf-8")
    return page


def test_a_page_that_shows_what_it_prints_passes(tmp_path):
    pages.run(shown_page(tmp_path, "```python\nx = 1\n```\n\nthen\n\n```python\nprint(x)\n```\n\n```text\n1\n```\n"))


@pytest.mark.parametrize(
    ("code", "shown"),
    [
        ("print(1)", "2"),
        ("print(1)", ""),
        ("x = 1", "1"),
        ("1 / 0", "ZeroDivisionError: another message"),
    ],
)
def test_a_page_that_shows_something_else_fails(tmp_path, code, shown):
    output = f"```text\n{shown}\n```\n" if shown else ""
    with pytest.raises(AssertionError, match=r"page\.md:2"):
        pages.run(shown_page(tmp_path, f"```python\n{code}\n```\n{output}"))


def test_an_error_is_part_of_what_a_page_prints(tmp_path):
    pages.run(shown_page(tmp_path, "```python\n1 / 0\n```\n\n```text\nZeroDivisionError: division by zero\n```\n"))


def test_a_dead_link_is_found(tmp_path):
    page = shown_page(tmp_path, "[a](page.md#there) [b](gone.md) [c](https://example.org/x)")
    assert pages.dead_links(page) == ["gone.md"]
