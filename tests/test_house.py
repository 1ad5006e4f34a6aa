"""The rules of the house that a machine can read."""

import ast
import re
import sys
from pathlib import Path

import pytest

HOUSE = Path(__file__).parent.parent
LIBRARY = sorted((HOUSE / "nets").rglob("*.py"))
SERVER = sorted((HOUSE / "backend").rglob("*.py"))
TESTS = sorted((HOUSE / "tests").rglob("*.py"))
READMES = [
    HOUSE / "README.md",
    *sorted(path for room in ("backend", "nets", "tests") for path in (HOUSE / room).rglob("*.md")),
]

NOT_IN_LIBRARY = {
    "backend",
    "flask",
    "flask_cors",
    "werkzeug",
    "gunicorn",
    "sqlite3",
    "threading",
    "http",
    "socketserver",
}
NOT_IN_SERVER = {"flax", "optax"}
NOWHERE = {"pickle", "dill", "cloudpickle", "marshal", "shelve", "torch", "tensorflow"}
FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__"}

MOST_LINES = 400
MOST_LINES_OF_A_FUNCTION = 40


def name_of(path):
    return str(path.relative_to(HOUSE))


def imports(path):
    """The modules that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name_of(path)}:{node.lineno}: a relative import"
            yield node.module


def roots(path):
    return {module.partition(".")[0] for module in imports(path)}


@pytest.mark.parametrize("path", LIBRARY, ids=name_of)
def test_the_library_knows_nothing_of_the_server(path):
    assert not roots(path) & NOT_IN_LIBRARY


@pytest.mark.parametrize("path", SERVER, ids=name_of)
def test_the_server_knows_nothing_of_flax(path):
    assert not roots(path) & NOT_IN_SERVER


@pytest.mark.parametrize("path", [*LIBRARY, *SERVER], ids=name_of)
def test_nothing_is_unpickled_or_evaluated(path):
    assert not roots(path) & NOWHERE
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in FORBIDDEN_CALLS, f"line {node.lineno}"
        if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
            assert isinstance(node.value, ast.Constant), f"line {node.value.lineno}"
            assert node.value.value is False, f"line {node.value.lineno}"


@pytest.mark.parametrize("path", [*LIBRARY, *SERVER], ids=name_of)
def test_rooms_are_small(path):
    """Files, and what functions do: their signatures and docstrings do not count."""
    text = path.read_text()
    assert len(text.splitlines()) <= MOST_LINES
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            first = node.body[min(ast.get_docstring(node) is not None, len(node.body) - 1)]
            lines = node.end_lineno - first.lineno + 1
            assert lines <= MOST_LINES_OF_A_FUNCTION, f"{node.name} has {lines} lines"


@pytest.mark.parametrize("path", [*LIBRARY, *SERVER], ids=name_of)
def test_public_names_have_a_docstring(path):
    tree = ast.parse(path.read_text())
    if path.name != "__init__.py" or tree.body:
        assert ast.get_docstring(tree), "the module"
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            assert node.name.startswith("_") or ast.get_docstring(node), node.name


@pytest.mark.parametrize("path", [*LIBRARY, *SERVER, *TESTS, *READMES, HOUSE / ".ci" / "run"], ids=name_of)
def test_no_machine_has_a_name_here(path):
    found = re.search(r"/(root|work)/\w", path.read_text())
    assert found is None or path == Path(__file__), found


@pytest.mark.parametrize("path", [*LIBRARY, *SERVER], ids=name_of)
def test_nothing_is_left_for_later(path):
    assert not re.search(r"\b(TODO|FIXME|XXX)\b|NotImplementedError", path.read_text())


def test_every_import_is_declared():
    """What is imported is the standard library, this house, or a declared dependency: not a lucky transitive one."""
    declared = {re.split(r"[\s>=<;\[]", line.strip(' ",'))[0].lower().replace("-", "_") for line in _dependencies()}
    modules = {"pil": "pillow", "sklearn": "scikit_learn", "jaxlib": "jax", "werkzeug": "flask"}
    for path in [*LIBRARY, *SERVER]:
        for root in roots(path) - {"nets", "backend"} - set(sys.stdlib_module_names):
            assert modules.get(root.lower(), root.lower()) in declared, f"{name_of(path)} imports {root}"


def _dependencies():
    text = (HOUSE / "pyproject.toml").read_text()
    return re.search(r"^dependencies = \[\n(.*?)^\]", text, flags=re.MULTILINE | re.DOTALL).group(1).splitlines()
