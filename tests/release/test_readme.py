"""Links of the README: they exist here, and on PyPI they lead to the repository."""

import re
from pathlib import Path

import pytest
from readme import ROOT, absolute, repository

PAGE = (ROOT / "README.md").read_text()


@pytest.mark.parametrize(
    ("here", "there"),
    [
        ("[a](docs/a.md)", "[a]({url}/blob/v1/docs/a.md)"),
        ("[a `b`](docs/a.md#part)", "[a `b`]({url}/blob/v1/docs/a.md#part)"),
        ("![a](docs/a.png)", "![a]({url}/raw/v1/docs/a.png)"),
        ("[a](https://nats.io/)", "[a](https://nats.io/)"),
        ("[a](#part)", "[a](#part)"),
    ],
)
def test_relative_links_become_absolute(here: str, there: str) -> None:
    assert absolute(here, "v1") == there.format(url=repository())


def test_every_relative_link_of_the_readme_leads_to_a_file() -> None:
    links = [link for link in re.findall(r"\]\(([^)\s]+)\)", PAGE) if not link.startswith(("http", "#"))]
    assert links
    assert [link for link in links if not Path(ROOT, link.partition("#")[0]).exists()] == []


def test_no_link_of_the_readme_stays_relative() -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", absolute(PAGE, "v1"))
    assert [link for link in links if not link.startswith(("https://", "http://", "#"))] == []
    assert not re.search(r"(?m)^\[[^\]]+\]:|<img |<a ", PAGE), "other kinds of links are not made absolute"


def test_every_url_of_the_project_is_of_one_repository() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    assert set(re.findall(r'"(https://github\.com/[^/]+/[^/"]+)', text)) == {repository()}
