"""The house rules that no linter checks: the top level, the four packages, how Ray is imported."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("easeml_ray", "actors", "serve", "cluster")
TOP = {
    "pyproject.toml", "easeml_ray", "actors", "serve", "cluster", "tests", "README.md", "LICENSE",
    "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", ".ci", ".gitignore", ".pre-commit-config.yaml",
}  # fmt: skip


@pytest.mark.parametrize("name", PACKAGES)
def test_the_package_of_this_name_is_ours(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__file__ is not None
    assert Path(module.__file__).parent == ROOT / name


def test_nothing_else_stands_at_the_top() -> None:
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.splitlines()
    if not listed:
        pytest.skip("not a git checkout")
    assert {line.split("/")[0] for line in listed} <= TOP


def test_tests_are_no_package() -> None:
    assert not list((ROOT / "tests").rglob("__init__.py"))


def test_ray_serve_is_imported_under_one_name_only() -> None:
    wrong = re.compile(r"^\s*(from ray import serve|from ray\.serve|import ray\.serve(?! as ray_serve))")
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            for number, line in enumerate(path.read_text().splitlines(), 1):
                assert not wrong.match(line), f"{path}:{number}: {line}"


def test_importing_the_science_brings_no_ray_and_no_heavy_library() -> None:
    code = (
        "import sys, easeml_ray, easeml_ray.runtime.components, easeml_ray.runtime.local;"
        "heavy = ('ray', 'torch', 'sklearn', 'scipy', 'matplotlib', 'fastapi', 'numba');"
        "print(sorted(m for m in heavy if m in sys.modules))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


LONG = {"easeml_ray/client.py", "easeml_ray/cleaning/sweeps.py", "easeml_ray/market/ordering.py"}
"""Files of more than 450 lines; the head of each says why it is one file."""


def test_no_file_of_the_packages_is_long_without_a_reason() -> None:
    long = {
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        if len(path.read_text().splitlines()) > 450
    }
    assert long == LONG
    for path in long:
        head = ast.get_docstring(ast.parse((ROOT / path).read_text()))
        assert head is not None and "one file" in head.lower(), path
