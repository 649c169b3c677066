"""The files of the pages, and the one page that is their shell.

Files are read and compressed once, at the start. They are below an address that holds a hash of all of them:
a browser keeps them for good, modules find each other by relative names, and no page mixes two releases.
"""

import gzip
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from aiohttp import web

ROOT = Path(__file__).parent / "static"
TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
}
FOR_GOOD = "public, max-age=31536000, immutable"
MAIN, STYLES = "main.js", "style.css"
FIRST = "{first}"  # where a page holds the rows at the top of the list
_IMPORT = re.compile(r'^(?:import|export)\s[\w\s{},*]*?\bfrom "(\.[^"]+)"|^import "(\.[^"]+)"', re.MULTILINE)
LANGUAGES = ("en", "de")


def language_of(request: web.Request) -> int:
    """Of a browser, as an index of :data:`LANGUAGES`."""
    return int(request.headers.get("Accept-Language", "").lower().startswith("de"))


@dataclass(frozen=True, slots=True)
class File:
    """``packed``: as gzip."""

    content: bytes
    packed: bytes
    type: str

    def response(self, request: web.Request, **headers: str) -> web.Response:
        """Compressed where the browser takes that."""
        body, encoding = self.content, {}
        if "gzip" in request.headers.get("Accept-Encoding", ""):
            body, encoding = self.packed, {"Content-Encoding": "gzip"}
        return web.Response(
            body=body, headers={"Content-Type": self.type, "Vary": "Accept-Encoding"} | encoding | headers
        )


def _file(content: bytes, suffix: str) -> File:
    kind = TYPES[suffix]
    text = kind.startswith("text/") or kind.endswith(("json", "xml"))
    return File(content, gzip.compress(content, 9, mtime=0), f"{kind}; charset=utf-8" if text else kind)


class Shell:
    """Everything below ``root``, its style sheets as one; ``base``: the address of the files."""

    def __init__(self, root: Path = ROOT) -> None:
        self.files = {
            path.relative_to(root).as_posix(): _file(path.read_bytes(), path.suffix)
            for path in sorted(root.rglob("*"))
            if path.suffix in TYPES
        }
        sheets = [self.files.pop(name).content for name in [*self.files] if name.startswith("style/")]
        self.files[STYLES] = _file(b"".join(sheets), ".css")
        every = hashlib.sha256()
        for name, file in self.files.items():
            every.update(f"{name}\0{len(file.content)}\0".encode() + file.content)
        self.base = f"/static/{every.hexdigest()[:16]}"
        page = self.files["index.html"].content.decode()
        page = page.replace("{base}", self.base).replace("{styles}", self.styles())
        # A file too: the service worker keeps it, and it holds nothing of who is logged in. Its modules are
        # in the browser, and asking for them delays the first frame: glimpse.js takes them out.
        later = f'<template id="later">{self._modules()}</template>'
        shell = page.replace("{modules}", later).replace(FIRST, "")
        self.files["shell.html"] = _file(shell.encode(), ".html")
        self._page = page.replace("{modules}", self._modules()).encode().split(FIRST.encode())
        worker = self.files.pop("sw.js").content.decode()
        worker = worker.replace("{base}", self.base).replace("{files}", " ".join(self._kept()))
        self._worker = _file(worker.encode(), ".js")

    def styles(self) -> str:
        """The link to all style sheets: one file, because nothing is painted before they are there."""
        return f'<link rel="stylesheet" href="{self.base}/{STYLES}">'

    def _modules(self) -> str:
        links = (f'<link rel="modulepreload" href="{self.base}/{name}">' for name in self.first())
        return "\n".join([*links, f'<script type="module" src="{self.base}/{MAIN}"></script>'])

    def _kept(self) -> list[str]:
        """What opens every page without a network, also one that was never opened with it."""
        return [name for name in self.files if name != "index.html"]

    def first(self) -> list[str]:
        """The modules that every page needs: what :data:`MAIN` imports, and what that imports."""
        found, wanted = set[str](), {MAIN}
        while wanted:
            name = wanted.pop()
            found.add(name)
            wanted |= set(self._imports(name)) - found
        return sorted(found)

    def _imports(self, name: str) -> Iterator[str]:
        for pair in _IMPORT.findall(self.files[name].content.decode()):
            parts: list[str] = []
            for part in (PurePosixPath(name).parent / (pair[0] or pair[1])).parts:
                if part == "..":
                    parts.pop()
                else:
                    parts.append(part)
            yield "/".join(parts)

    async def static(self, request: web.Request) -> web.Response:
        """A file. One of another release is not found: the page says that there is a new one."""
        release, _, name = request.match_info["file"].partition("/")
        file = self.files.get(name)
        if file is None or release != self.base.rpartition("/")[2]:
            raise web.HTTPNotFound
        return file.response(request, **{"Cache-Control": FOR_GOOD})

    async def worker(self, request: web.Request) -> web.Response:
        """The service worker: by an address above all pages, and never an old one."""
        return self._worker.response(request, **{"Cache-Control": "no-cache"})

    def shown(self, first: bytes) -> web.Response:
        """The page, for who is logged in. ``first``: JSON of the first rows, which is data and no script."""
        data = b'<script type="application/json" id="first">%s</script>' % first.replace(b"<", rb"\u003c")
        return web.Response(
            body=data.join(self._page), content_type="text/html", charset="utf-8",
            headers={"Cache-Control": "private, no-store"},
        )  # fmt: skip
