"""Files of the pages: what is served, for how long it is kept, how much it weighs."""

import gzip
import re
from pathlib import Path

import pytest

from csms.console.desk import Desk
from voltgate.csms.console.shell import FOR_GOOD, ROOT, Shell

BUDGET = 50 * 1024  # bytes of a first load without charts, compressed


def test_a_first_load_is_small() -> None:
    shell = Shell()
    names = [*shell.first(), "style.css", "theme.js", "vendor/icons.svg"]
    assert "vendor/hooks.js" in names, "found through imports of imports"
    assert not {"app/charger.js", "text/books.js", "vendor/uplot.js"} & {*names}, "loaded with their screens"
    assert (
        len(shell.files["shell.html"].packed) + sum(len(shell.files[name].packed) for name in names) < BUDGET
    )


def test_the_address_of_the_files_changes_with_any_of_them(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("{base}")
    (tmp_path / "sw.js").write_text("{base} {files}")
    (tmp_path / "main.js").write_text("1")
    before = Shell(tmp_path).base
    assert Shell(tmp_path).base == before
    (tmp_path / "main.js").write_text("2")
    assert Shell(tmp_path).base != before


def test_style_sheets_are_one_file_in_the_order_of_their_names(tmp_path: Path) -> None:
    for name in ("index.html", "sw.js", "main.js"):
        (tmp_path / name).write_text("")
    (tmp_path / "style").mkdir()
    (tmp_path / "style" / "b.css").write_text("b {}")
    (tmp_path / "style" / "1-a.css").write_text("a {}")
    assert Shell(tmp_path).files["style.css"].content == b"a {}b {}"


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.js")), ids=lambda path: str(path.relative_to(ROOT)))
def test_modules_name_each_other_by_where_they_are(path: Path) -> None:
    """Browsers resolve no bare names, and a name without its ending is not found."""
    code = re.sub(r"^\s*//.*", "", path.read_text(), flags=re.MULTILINE)
    static = re.findall(r'^(?:import|export)\s[\w\s{},*]*?from "([^"]+)"', code, re.MULTILINE)
    named = [*static, *re.findall(r'\bimport\("([^"]+)"\)', code)]
    assert [name for name in named if not (path.parent / name).is_file()] == []


async def test_a_file_is_kept_for_good_and_compressed(console: Desk) -> None:
    base = Shell().base
    async with console.http.get(f"{console.url}{base}/main.js") as answer:
        assert (answer.status, answer.headers["Content-Type"]) == (200, "text/javascript; charset=utf-8")
        assert answer.headers["Cache-Control"] == FOR_GOOD
        assert "Content-Encoding" in answer.headers
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'self'")
    async with console.http.get(
        f"{console.url}{base}/main.js", headers={"Accept-Encoding": "identity"}
    ) as answer:
        assert "Content-Encoding" not in answer.headers
        assert gzip.compress(await answer.read(), 9, mtime=0) == Shell().files["main.js"].packed


@pytest.mark.parametrize(
    "file", ["{base}/%2E%2E/index.html", "{base}/", "{base}/none.js", "/static/0123/main.js", "/static/"]
)
async def test_what_is_not_a_file_of_this_release_is_not_served(console: Desk, file: str) -> None:
    async with console.http.get(console.url + file.format(base=Shell().base)) as answer:
        assert answer.status == 404


async def test_an_address_of_a_page_leads_to_the_login(console: Desk) -> None:
    for path in ("/", "/chargers", "/chargers/CP%2F1", "/sessions?state=open"):
        async with console.http.get(console.url + path, allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (303, "/login")
    assert (await console.ask("GET", "/api/v1/none")).status == 404
