"""What makes the two commands of the README work on another machine."""

import os
import re
import subprocess
import tomllib
from fnmatch import fnmatch
from importlib import import_module
from importlib.metadata import entry_points, version
from pathlib import Path

import pytest

HOUSE = Path(__file__).parent.parent
PROJECT = tomllib.loads((HOUSE / "pyproject.toml").read_text())
LOCK = (HOUSE / "requirements.lock").read_text()


def normal(name):
    return re.sub(r"[-_.]+", "-", name).lower()


LOCKED = {normal(name): rest for name, rest in re.findall(r"^([\w.-]+)==(\S+)", LOCK, flags=re.MULTILINE)}


def wanted():
    """The direct dependencies, with those for tests and linters."""
    extras = PROJECT["project"]["optional-dependencies"]
    lists = [PROJECT["project"]["dependencies"], extras["test"], extras["lint"]]
    return [normal(re.match(r"[\w.-]+", line).group()) for each in lists for line in each]


@pytest.mark.parametrize("name", wanted())
def test_every_dependency_is_locked(name):
    assert name in LOCKED


def test_every_line_of_the_lock_is_one_exact_version():
    lines = [line for line in LOCK.splitlines() if line and not line.startswith("#")]
    assert len(lines) == len(LOCKED)
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+( ; .+)?", line) for line in lines)


def test_the_lock_satisfies_pyproject():
    requirements = pytest.importorskip("packaging.requirements")
    extras = PROJECT["project"]["optional-dependencies"]
    for line in [*PROJECT["project"]["dependencies"], *extras["test"], *extras["lint"]]:
        requirement = requirements.Requirement(line)
        assert requirement.specifier.contains(LOCKED[normal(requirement.name)]), line


def test_the_command_is_installed():
    assert [entry for entry in entry_points(group="console_scripts") if entry.name == "lamina"]
    module, _, function = PROJECT["project"]["scripts"]["lamina"].partition(":")
    assert module in PROJECT["tool"]["setuptools"]["py-modules"] and callable(getattr(import_module(module), function))
    assert version("lamina") == PROJECT["project"]["version"]


def test_every_module_and_data_file_is_packaged():
    """What setuptools would leave out works only in place."""
    data = PROJECT["tool"]["setuptools"]["package-data"]
    for package in ("backend", "nets"):
        for path in (HOUSE / package).rglob("*.*"):
            if path.suffix == ".py":
                assert (path.parent / "__init__.py").exists(), f"{path.parent} is no package"
            elif path.suffix not in (".pyc", ".md"):
                name = str(path.relative_to(HOUSE / package))
                assert any(fnmatch(name, pattern) for pattern in data[package]), f"{path} is not in package-data"


def test_the_change_log_knows_this_version():
    assert f"## {PROJECT['project']['version']}" in (HOUSE / "CHANGELOG.md").read_text()


def test_the_ci_script_is_a_program():
    script = HOUSE / ".ci" / "run"
    assert os.access(script, os.X_OK)
    subprocess.run(["bash", "-n", script], check=True)
