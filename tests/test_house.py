"""The rules of the house that a machine can read."""

import ast
import re
import sys
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

HOUSE = Path(__file__).parent.parent
LIBRARY = sorted((HOUSE / "nets").rglob("*.py"))
SERVER = sorted((HOUSE / "backend").rglob("*.py"))
CODE = [*LIBRARY, *SERVER]
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

# Of each package, from the top floor down: which of its other folders (or files, that stand in none) a folder imports,
# be it for types only. What stands in a folder of a folder belongs to the outer one.
ARROWS = {
    "backend": {
        "cli": "client commands config demo server",
        "server": "config control_groups events services state web",
        "web": "actions config errors events parsing quoting services state telemetry training",
        "services": "actions config events inference state telemetry training",
        "actions": "errors events inference parsing state telemetry training",
        "training": "config control_groups events state",
        "inference": "errors parsing state",
        "commands": "client config events state",
        "demo": "client config",
        "client": "",
        "events": "state",
        "parsing": "state",
        "telemetry": "state",
        "errors": "quoting",
        "state": "",
        "config": "",
        "control_groups": "",
        "quoting": "",
    },
    "nets": {
        "benchmarks": "architecture calibration datasets errors facts hyperparams inference numerics plots"
        " process spec training",
        "examples": "facts",
        "inspection": "architecture augment calibration datasets doubts errors facts hyperparams kernels process spec training"
        " schedules views",
        "calibration": "architecture datasets durable facts hyperparams kernels layers numerics process training",
        "doubts": "architecture augment datasets errors hyperparams layers optimizers schedules spec training",
        "training": "architecture augment averages checkpoint datasets durable earlier_names errors facts hyperparams"
        " kernels layers losses metrics network optimizers packed process regularizers schedules spec stopping views",
        "inference": "architecture kernels losses network process views",
        "exchange": "architecture checkpoint errors layers network packed spec",
        "checkpoint": "architecture durable earlier_names errors network packed",
        "network": "architecture kernels layers",
        "earlier_names": "architecture",
        "kernels": "architecture facts layers numerics process spec",
        "architecture": "errors layers spec",
        "hyperparams": "augment averages datasets errors losses metrics optimizers regularizers schedules spec"
        " stopping views",
        "augment": "errors spec",
        "regularizers": "errors optimizers spec",
        "optimizers": "errors spec",
        "averages": "spec",
        "schedules": "errors facts spec stopping",
        "stopping": "facts spec",
        "losses": "errors spec",
        "metrics": "errors spec",
        "views": "spec",
        "datasets": "durable errors spec",
        "layers": "errors numerics spec",
        "process": "errors facts spec",
        "plots": "",
        "numerics": "",
        "spec": "errors",
        "packed": "",
        "durable": "",
        "errors": "",
        "facts": "",
    },
}

# What names layer types outside `nets/layers`, by their classes or in its words: any of them (*), or these.
NAMING_LAYERS = {
    "nets/kernels/cpu/rows.py": "*",  # a row computes a type
    "nets/kernels/cpu/sequences.py": "*",
    "nets/kernels/cpu/fusions.py": "*",  # and a fusion a chain of them
    "nets/calibration/networks.py": "*",  # the networks that a device is measured by
    "nets/calibration/work.py": "relu sigmoid tanh",  # the functions whose time is counted apart
    "nets/spec/words.py": "*",  # the names in other libraries, beside ours
    "nets/benchmarks/networks.py": "*",  # networks that are measured by name
    "nets/benchmarks/families.py": "*",
    "backend/demo/example.py": "*",  # the network of the demo
    "backend/parsing/requests.py": "linear relu softmax",  # the example of a body in the OpenAPI document
    "nets/architecture/combinators.py": "Add AsSequence Concat Conv2d EachStep Linear Relu timedistributed",  # the merges they stand for; their examples
    "nets/architecture/misfits.py": "Embedding Flatten Reshape ToImage ToSequence",  # told as cures
    "nets/architecture/resolve.py": "AsImage Flatten",  # the adapters between kinds
    "nets/training/programs.py": "Linear average",  # the smallest network, to rehearse on; a program
    "nets/network.py": "dropout",  # how Flax calls the stream of random numbers
    "nets/training/steps.py": "dropout",
    "nets/losses/base.py": "embedding",  # what a network gives that ends in one
    "nets/losses/embedding.py": "embedding",
    "nets/losses/binary.py": "sigmoid softmax",  # what makes probabilities of logits
    "nets/architecture/frame.py": "maximum",  # JSON Schema's
    "nets/spec/fields.py": "maximum",
    "nets/spec/allowed.py": "maximum",
    "nets/augment/ranges.py": "maximum",
    "nets/augment/warps.py": "scale",  # an augmentation's
    "nets/augment/erasing.py": "scale",
    "nets/augment/policies.py": "maximum",
    "nets/training/check.py": "maximum",
    "nets/hyperparams/hints.py": "threshold",
    "nets/hyperparams/hyperparams.py": "maximum",
    "nets/losses/per_class.py": "maximum",
    "nets/training/loss_fit.py": "maximum",
    "nets/inspection/memory.py": "maximum",
    "backend/inference/pixels.py": "maximum",
    "backend/parsing/strict_json.py": "maximum",
    "backend/parsing/benchmarks.py": "maximum",
    "nets/doubts/of_schedules.py": "linear",  # between points
    "nets/schedules/decay.py": "linear",  # a line down
    "nets/schedules/one_cycle.py": "linear",
    "nets/schedules/stairs.py": "linear",
    "nets/schedules/wsd.py": "linear",
    "nets/calibration/rates.py": "scale",  # of rates
    "backend/client/download.py": "identity",  # HTTP's
    "backend/client/stream.py": "identity",
    "backend/web/body.py": "identity",
    "nets/errors.py": "add",  # RFC 6902's
    "backend/web/components.py": "add",
    "backend/parsing/queries.py": "maximum",
    "nets/kernels/cpu/native/call.py": "add",  # LLVM's
}
# What asks arrays for their number of axes where no layer is computed.
ASKING_FOR_RANKS = {
    "nets/datasets/arrays.py",  # a user's arrays: what they hold is told by their axes
    "nets/datasets/cache.py",  # files as they come
    "nets/datasets/tfds.py",
    "nets/training/regularized.py",  # of weights, as the next
    "nets/optimizers/adafactor.py",  # of matrices, rows and columns are kept
    "nets/inference.py",  # of weights: kernels are those of several axes
}
AT_HOME = ("nets/layers/", "nets/numerics/", "nets/kernels/")  # where ranks are asked for

MOST_LINES = 400
MOST_LINES_OF_A_FUNCTION = 40


def name_of(path):
    return str(path.relative_to(HOUSE))


@cache
def text_of(path):
    return path.read_text()


@cache
def tree_of(path):
    return ast.parse(text_of(path))


@cache
def nodes(path):
    """All of a file's syntax: each file is parsed once, for every rule."""
    return list(ast.walk(tree_of(path)))


@cache
def imports(path):
    """The modules that a file imports, anywhere in it."""
    return list(found_imports(path))


def found_imports(path):
    for node in nodes(path):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name_of(path)}:{node.lineno}: a relative import"
            yield node.module


def roots(path):
    return {module.partition(".")[0] for module in imports(path)}


def modules(package):
    """The modules of a package by their names; a folder is the module `__init__` in it."""
    paths = {path.relative_to(HOUSE).with_suffix("").parts: path for path in (HOUSE / package).rglob("*.py")}
    return {".".join(parts[:-1] if parts[-1] == "__init__" else parts): path for parts, path in paths.items()}


def arrows(package):
    """Each module of a package with those of the same package that it imports, anywhere in it."""
    known = modules(package)
    found = {}
    for name, path in known.items():
        named = set()
        for node in nodes(path):
            if isinstance(node, ast.Import):
                named |= {each.name for each in node.names}
            elif isinstance(node, ast.ImportFrom):
                whole = {f"{node.module}.{each.name}" for each in node.names}
                named |= {each if each in known else node.module for each in whole}
        found[name] = (named & known.keys()) - {name}
    return found


def room(module):
    return module.split(".")[1] if "." in module else module


@pytest.mark.parametrize("package", ARROWS)
def test_arrows_lead_down(package):
    """A folder imports those that the table names and no others; nothing imports in a circle."""
    allowed = {name: set(others.split()) for name, others in ARROWS[package].items()}
    used = {name: set() for name in allowed}
    for module, others in arrows(package).items():
        for other in others if module != package else ():
            if room(other) != room(module):
                assert room(other) in allowed.get(room(module), ()), f"{module} imports {other}"
                used[room(module)].add(room(other))
    assert used == allowed, "the table names what nothing imports"
    above = set()
    for name, others in allowed.items():
        above.add(name)
        assert not others & above, f"{name} imports what stands above it"
    assert list(TopologicalSorter(arrows(package)).static_order())  # CycleError names a circle


@pytest.mark.parametrize("package", ARROWS)
def test_the_readme_shows_every_room(package):
    """With none above one that imports it."""
    text = (HOUSE / package / "README.md").read_text().partition("\n## Rooms\n")[2]
    cells = [line.split("|")[1] for line in text.splitlines() if line.startswith("| ")]
    rows = [re.findall(r"`(\w+)(?:/|\.py)`", cell) for cell in cells]
    place = {name: number for number, row in enumerate(rows) for name in row}
    assert place.keys() == ARROWS[package].keys()
    for name, others in ARROWS[package].items():
        assert all(place[name] <= place[other] for other in others.split()), name


@pytest.mark.parametrize("package", ARROWS)
def test_tests_are_found_by_name(package):
    """A module's tests are `test_<module>.py`, or `test_<folder>.py` where a folder is tested as one."""
    known = [module.split(".")[1:] for module, path in modules(package).items() if path.name != "__init__.py"]
    there = {path.stem.removeprefix("test_") for path in (HOUSE / "tests" / package).rglob("test_*.py")}
    assert not there - {part for parts in known for part in parts}, "named after nothing that is there"
    assert not [".".join(parts) for parts in known if not there & set(parts)], "without tests of their name"


@pytest.mark.parametrize("package", ARROWS)
def test_no_file_is_named_like_one_of_the_standard_library(package):
    assert not {path.stem for path in modules(package).values()} & set(sys.stdlib_module_names)


def layer_types():
    """The classes of layers that have a type, and the types."""
    for path in LIBRARY:
        for node in nodes(path) if path.parent == HOUSE / "nets" / "layers" else ():
            for field in node.body if isinstance(node, ast.ClassDef) else ():
                if isinstance(field, ast.AnnAssign) and field.target.id == "type" and field.value:
                    yield from (node.name, field.value.value)


def test_no_layer_type_is_named_outside_its_room():
    types, named = set(layer_types()), {}
    assert {"Conv2d", "conv2d", "AsImage", "as_image"} <= types
    for path in CODE:
        for node in nodes(path):
            word = getattr(node, "name" if isinstance(node, ast.alias) else "value", None)
            if path.parent.name != "layers" and isinstance(word, str) and word in types:
                named.setdefault(name_of(path), set()).add(word)
    for name, words in named.items():
        assert words == set(NAMING_LAYERS.get(name, "").split()) or NAMING_LAYERS[name] == "*", (name, words)
    assert named.keys() == NAMING_LAYERS.keys(), "the table names what names no layer"


def is_rank(node):
    """Whether an expression is `x.ndim`, `len(shape)` or `len(x.shape)`."""
    if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "len":
        return "shape" in (getattr(node.args[0], "id", ""), getattr(node.args[0], "attr", ""))
    return getattr(node, "attr", "") == "ndim"


def asks_for_a_rank(node):
    """Whether a comparison is one of a rank with a number."""
    sides = [node.left, *node.comparators]
    return any(map(is_rank, sides)) and any(isinstance(side, ast.Constant) for side in sides)


def test_no_rank_is_asked_for_outside_layers_and_what_computes_them():
    asking = {
        name_of(path)
        for path in CODE
        for node in nodes(path)
        if isinstance(node, ast.Compare) and asks_for_a_rank(node)
    }
    assert {name for name in asking if not name.startswith(AT_HOME)} == ASKING_FOR_RANKS


# Each of these tells all places that break its rule, not the first one alone.


def test_the_library_knows_nothing_of_the_server():
    found = {name_of(path): roots(path) & NOT_IN_LIBRARY for path in LIBRARY}
    assert not {name: there for name, there in found.items() if there}


def test_the_server_knows_nothing_of_flax():
    found = {name_of(path): roots(path) & NOT_IN_SERVER for path in SERVER}
    assert not {name: there for name, there in found.items() if there}


def unpickles_or_evaluates(node):
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return node.func.id in FORBIDDEN_CALLS
    if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
        return not isinstance(node.value, ast.Constant) or node.value.value is not False
    return False


def test_nothing_is_unpickled_or_evaluated():
    for path in CODE:
        assert not roots(path) & NOWHERE, name_of(path)
    broken = [f"{name_of(path)}:{node.lineno}" for path in CODE for node in nodes(path) if unpickles_or_evaluates(node)]
    assert not broken


def lines_of(function):
    """Of what it does: its signature and docstring do not count."""
    first = function.body[min(ast.get_docstring(function) is not None, len(function.body) - 1)]
    return function.end_lineno - first.lineno + 1


def test_rooms_are_small():
    """Files, and functions."""
    assert not [name_of(path) for path in CODE if len(text_of(path).splitlines()) > MOST_LINES]
    functions = [(path, node) for path in CODE for node in nodes(path) if isinstance(node, ast.FunctionDef)]
    sizes = {f"{name_of(path)}:{node.lineno}: {node.name}": lines_of(node) for path, node in functions}
    assert not {place: lines for place, lines in sizes.items() if lines > MOST_LINES_OF_A_FUNCTION}


def without_docstring(path):
    """What of a file's public names lacks one."""
    tree = tree_of(path)
    if (path.name != "__init__.py" or tree.body) and not ast.get_docstring(tree):
        yield f"{name_of(path)}: the module"
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_") and not ast.get_docstring(node):
            yield f"{name_of(path)}:{node.lineno}: {node.name}"


def test_public_names_have_a_docstring():
    assert not [lacking for path in CODE for lacking in without_docstring(path)]


def test_no_machine_has_a_name_here():
    everywhere = {*CODE, *TESTS, *READMES, HOUSE / ".ci" / "run"} - {Path(__file__)}
    assert not [name_of(path) for path in everywhere if re.search(r"/(root|work)/\w", text_of(path))]


def test_nothing_is_left_for_later():
    left = re.compile(r"\b(TODO|FIXME|XXX)\b|NotImplementedError")
    assert not [name_of(path) for path in CODE if left.search(text_of(path))]


def test_every_import_is_declared():
    """What is imported is the standard library, this house, or a declared dependency: not a lucky transitive one."""
    declared = {re.split(r"[\s>=<;\[]", line.strip(' ",'))[0].lower().replace("-", "_") for line in _dependencies()}
    modules = {
        "pil": "pillow",
        "sklearn": "scikit_learn",
        "jaxlib": "jax",
        "werkzeug": "flask",
        "pynvml": "nvidia_ml_py",
    }
    for path in CODE:
        for root in roots(path) - {"nets", "backend"} - set(sys.stdlib_module_names):
            assert modules.get(root.lower(), root.lower()) in declared, f"{name_of(path)} imports {root}"


def _dependencies():
    """All of them, those of the extra `cuda` too: what needs these says so where they are missing."""
    text = (HOUSE / "pyproject.toml").read_text()
    needed = re.search(r"^dependencies = \[\n(.*?)^\]", text, flags=re.MULTILINE | re.DOTALL).group(1).splitlines()
    return [*needed, *re.search(r"^cuda = \[(.*)\]", text, flags=re.MULTILINE).group(1).split(", ")]
