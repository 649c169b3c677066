"""``make release``: everything of a release, from the last commit, into dist/.

A part that this machine cannot make is named at the end with how to get its tool, and the exit code is 3.
Nothing is uploaded.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import alone
import notes
import readme
from steps import ROOT, FailedError, bare, needed, own, run

DIST = ROOT / "dist"
WORK = ROOT / ".cache" / "release"
X86, ARM = "x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"
GLIBC = "manylinux_2_17"
HELM = "go install helm.sh/helm/v4/cmd/helm@v4.3.1"


@dataclass(frozen=True, slots=True)
class Source:
    """The tree of the last commit, unpacked, with the README of PyPI."""

    folder: Path
    version: str
    environment: dict[str, str]


def unpacked() -> Source:
    """Raises FailedError where versions disagree."""
    shutil.rmtree(WORK / "tree", ignore_errors=True)
    tree = WORK / "tree"
    tree.mkdir(parents=True)
    archive = subprocess.run(["git", "archive", "HEAD"], cwd=ROOT, check=True, capture_output=True).stdout
    subprocess.run(["tar", "-x"], cwd=tree, check=True, input=archive)
    version = tomllib.loads((tree / "Cargo.toml").read_text())["workspace"]["package"]["version"]
    chart = (tree / "deploy" / "helm" / "voltgate" / "Chart.yaml").read_text()
    if re.findall(r"(?m)^(?:version|appVersion): (.+)$", chart) != [version] * 2:
        raise FailedError(f"Chart.yaml: version and appVersion must be {version}, as in Cargo.toml")
    page = tree / "README.md"
    page.write_text(readme.absolute(page.read_text(), f"v{version}"))
    when = run("git", "log", "-1", "--format=%ct", cwd=ROOT).strip()
    home = os.environ.get("CARGO_HOME", str(Path.home() / ".cargo"))
    built = {
        "SOURCE_DATE_EPOCH": when,
        "CARGO_TARGET_DIR": str(ROOT / "target" / "release-wheels"),
        # No path of this machine is in the library.
        "RUSTFLAGS": f"--remap-path-prefix={home}=/cargo --remap-path-prefix={tree}=/voltgate",
    }
    return Source(tree, version, os.environ | built)


# -- parts ----------------------------------------------------------------------------------------------


def wheel(source: Source, target: str) -> str:
    """The wheel of a target, checked for the glibc that it needs and for what its library is."""
    rustc = os.environ.get("RUSTC", "rustc")
    library = Path(run(rustc, "--print", "target-libdir", "--target", target).strip())
    if not list(library.glob("libstd-*")):
        raise FailedError(
            f"{rustc} has no library for {target}: rustup target add {target}, or another RUSTC"
        )
    machine = target.partition("-")[0]
    run(
        own("maturin"), "build", "--release", "--locked", "--zig", "--compatibility", GLIBC,
        "--target", target, "--out", DIST, cwd=source.folder, env=source.environment | {"PATH": path()},
    )  # fmt: skip
    (made,) = DIST.glob(f"*_{machine}.whl")
    audit = run(own("auditwheel"), "show", made)
    if f'"{GLIBC}_{machine}"' not in audit:
        raise FailedError(f"{made.name} is not {GLIBC}:\n{audit}")
    with zipfile.ZipFile(made) as files:
        (name,) = (one for one in files.namelist() if one.endswith(".so"))
        kind = run("file", "--brief", files.extract(name, WORK / machine))
        if {"x86_64": "x86-64", "aarch64": "ARM aarch64"}[machine] not in kind:
            raise FailedError(f"{name} is {kind}")
        (sbom,) = (one for one in files.namelist() if ".dist-info/sboms/" in one)
        bill = DIST / f"voltgate-{source.version}.rust.cdx.json"
        bill.write_text(files.read(sbom).decode().replace(str(source.folder), ""))
    ran = "" if target == X86 else "; not run: this machine is another one"
    return f"{made.name}: auditwheel says {GLIBC}, file says {kind.split(', version')[0]}{ran}"


def made_before(pattern: str) -> Path:
    """What an earlier part made. Raises FailedError."""
    for path in DIST.glob(pattern):
        return path
    raise FailedError(f"there is no {pattern} in {DIST}")


def path() -> str:
    """PATH with the environment of this script in front: maturin looks for zig in it."""
    return f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"


def sdist(source: Source) -> str:
    """The source distribution; with the wheels, it must be what PyPI accepts and can show."""
    run(own("maturin"), "sdist", "--out", DIST, cwd=source.folder, env=source.environment)
    (made,) = DIST.glob("*.tar.gz")
    run(own("twine"), "check", "--strict", made, *DIST.glob("*.whl"))
    return f"{made.name}: twine check --strict passes on it and the wheels"


def serves(source: Source) -> str:
    """The wheel alone, and the bill of materials of the environment that it was installed in."""
    made = made_before("*_x86_64.whl")
    environment = WORK / "alone"
    said = alone.check(made, environment, source.folder / "deploy" / "voltgate.toml")
    bill = DIST / f"voltgate-{source.version}.python.cdx.json"
    run(
        own("cyclonedx-py"), "environment", "--output-reproducible", "--output-format", "JSON",
        "--validate", "--output-file", bill, environment / "bin" / "python",
    )  # fmt: skip
    bill.write_text(bill.read_text().replace(f"file://{DIST}/", ""))
    return f"{said}; {bill.name} and voltgate-{source.version}.rust.cdx.json"


def schemas(source: Source) -> str:
    """Every OCPP schema of the installed package ``ocpp``, and the AsyncAPI document of them."""
    folder = WORK / f"voltgate-schemas-{source.version}"
    shutil.rmtree(folder, ignore_errors=True)
    run(WORK / "alone" / "bin" / "voltgate", "schema", "--all", folder, env=bare(), cwd="/")
    when = source.environment["SOURCE_DATE_EPOCH"]
    same = [
        "--mode=u=rwX,go=rX",
        "--sort=name",
        f"--mtime=@{when}",
        "--owner=0",
        "--group=0",
        "--numeric-owner",
    ]
    packed = DIST / f"{folder.name}.tgz"
    run("tar", *same, "-C", WORK, "--use-compress-program=gzip -n", "-cf", packed, folder.name)
    return f"{folder.name}.tgz: {len(list(folder.rglob('*.json')))} schemas and asyncapi.yaml"


def chart(source: Source) -> str:
    """The chart as a package."""
    helm = needed("helm", f"{HELM} (4 minutes)")
    run(helm, "package", source.folder / "deploy" / "helm" / "voltgate", "--destination", WORK)
    packed = WORK / f"voltgate-{source.version}.tgz"
    run(helm, "template", "gw", packed, "--set", "nats.urls={nats://nats:4222}")
    # An sdist has nearly this name.
    packed.replace(DIST / f"voltgate-chart-{source.version}.tgz")
    return f"voltgate-chart-{source.version}.tgz"


def changes(source: Source) -> str:
    """The changelog's section."""
    changelog = (source.folder / "CHANGELOG.md").read_text()
    try:
        text = notes.section(changelog, source.version)
    except notes.NoSectionError as error:
        raise FailedError(str(error)) from None
    (DIST / "CHANGES.md").write_text(text)
    left = notes.open_points(changelog, source.version)
    return "CHANGES.md" + "".join(f"; before the tag: {point}" for point in left)


def sums(_: Source) -> str:
    """Last: the sums of all the others."""
    files = sorted(path for path in DIST.iterdir() if path.name != "SHA256SUMS")
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files]
    (DIST / "SHA256SUMS").write_text("".join(lines))
    return f"SHA256SUMS of {len(files)} files"


PARTS: dict[str, Callable[[Source], str]] = {
    "wheel x86-64": lambda source: wheel(source, X86),
    "wheel aarch64": lambda source: wheel(source, ARM),
    "sdist": sdist,
    "wheel alone": serves,
    "schemas": schemas,
    "chart": chart,
    "changes": changes,
    "sums": sums,
}


def main() -> int:
    """0: complete; 3: without the parts that were named."""
    shutil.rmtree(DIST, ignore_errors=True)
    DIST.mkdir()
    source = unpacked()
    missing = 0
    for name, part in PARTS.items():
        try:
            print(f"{name}: {part(source)}", flush=True)
        except FailedError as error:
            missing += 1
            print(f"{name}: NOT MADE: {error}", file=sys.stderr, flush=True)
    return 3 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
