"""The tables of the READMEs that are made from the code: `python -m tests.readme_tables` writes them anew.

Each stands between `<!-- table NAME ... -->` and `<!-- end -->`; tests compare what is there with what is made here.
"""

import inspect
import json
import re
from pathlib import Path
from unittest.mock import MagicMock

import click
from flask import Flask

from backend.cli.manual import VARIABLES
from backend.cli.remote import SECTION as SERVER
from backend.cli.settings import SECTION as SETTINGS
from backend.cli.shape import brief, walk
from backend.cli.top import lamina
from backend.commands.exits import MEANING
from backend.config import settings_table
from backend.web.endpoints import register
from backend.web.openapi import document, schemas
from nets.architecture.combinators import COMBINATORS
from nets.architecture.common import Common
from nets.augment import AUGMENTATIONS
from nets.datasets import DATASETS
from nets.doubts.rules import RULES
from nets.errors import CODES
from nets.examples import networks
from nets.hyperparams.hyperparams import Hyperparams
from nets.hyperparams.parts import PARTS
from nets.layers import LAYERS
from nets.layers.groups import GROUPS, group_of
from nets.losses import LOSSES
from nets.metrics import METRICS
from nets.optimizers import OPTIMIZERS
from nets.optimizers.groups import Group
from nets.regularizers import REGULARIZERS
from nets.schedules import SCHEDULES
from nets.schedules.base import WarmedCurve
from nets.schedules.decay import ToAnEnd

TOP = Path(__file__).parent.parent
READMES = sorted({TOP / "README.md", *TOP.glob("backend/**/README.md"), *TOP.glob("nets/**/README.md")})
PLACE = re.compile(r"(<!-- table (\w+)[^>]*-->\n)(.*?)(<!-- end -->)", flags=re.DOTALL)

MOST_NAMES = 8  # in a cell
RECORD = ("compilation", "timing", "peak_memory", "environment", "dataset_sha256", "request_sha256")
TITLES = {
    "dense": "Dense layers",
    "convolution": "Convolutions",
    "pool": "Pools",
    "norm": "Norms",
    "activation": "Activations",
    "dropout": "Dropouts and noise",
    "sequence": "Tokens and sequences",
    "attention": "Attention",
    "recurrent": "Recurrent layers",
    "size": "Shapes and sizes",
    "merge": "Merges",
    "composite": "Composites",
}
KINDS = {"image": "images", "features": "features", "sequence": "sequences", "tokens": "tokens"}
ALSO = {"image": "features whose number is a square are read as an image", "features": "an image is flattened"}


def table(heads, rows):
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


def endpoints():
    app = Flask("documents")
    register(app, MagicMock())  # the routes without a server behind them
    found = [
        (f"`{method.upper()} {path}`", operation.get("description", operation["summary"]), query_of(operation))
        for path, methods in document(app)["paths"].items()
        for method, operation in methods.items()
    ]
    return table(("endpoint", "does", "query"), sorted(found, key=lambda row: (row[0].split()[1].strip("`"), row[0])))


def query_of(operation):
    return ", ".join(f"`{each['name']}`" for each in operation.get("parameters", ()) if each["in"] == "query")


def layers():
    """By groups, with links to each type first."""
    grouped = {group: [] for group in GROUPS}
    for name, layer in LAYERS.items():
        grouped[group_of(layer)].append(name)
    contents = [f"{TITLES[group]}: {links(names)}" for group, names in grouped.items() if names]
    parts = [
        f"### {TITLES[group]}\n\n" + "\n".join(layer_entry(name, LAYERS[name]) for name in names)
        for group, names in grouped.items()
        if names
    ]
    return "\n".join([*(f"- {line}" for line in contents), "", *parts])


def links(names):
    return ", ".join(f"[`{name}`](#{name})" for name in names)


def layer_entry(name, layer):
    return entry(name, layer, f" {taken(layer)}", layer.examples[0].json)


def taken(layer):
    """What goes in, as a sentence."""
    least, most = layer.arity
    many = "" if most == 1 else f"{least} inputs: " if least == most else f"{least} to {most} inputs: "
    first, *others = [KINDS[kind] for kind in layer.takes]
    kinds = f"{', '.join([first, *others[:-1]])}{' or ' * bool(others)}{''.join(others[-1:])}"
    converted = [ALSO[kind] for kind in layer.takes if layer.converts and kind in ALSO]
    return f"Takes {many}{kinds}{f' ({converted[0]})' if converted else ''}."


def combinators():
    return "\n".join(entry(name, cls, "", cls.examples[0]) for name, cls in COMBINATORS.items())


def entry(name, cls, more, example):
    """A type with its example and its options."""
    also = f" Also called {', '.join(f'`{word}`' for word in cls.also)}." if cls.also else ""
    about = f"#### `{name}`\n\n{paragraph(cls)}{more}{also}\n\nExample: `{json.dumps(dict(example))}`\n"
    rows = options(cls, cls.aliases)
    return about + ("\n" + table(("option", "value", "default", "meaning"), rows) if rows else "")


def common():
    return table(("option", "value", "default", "meaning"), options(Common, {}))


def optimizers():
    return "\n".join(
        f"#### `{name}`\n\n{paragraph(optimizer)} {usual(optimizer)}\n\n"
        + table(("option", "value", "default", "meaning"), options(optimizer, optimizer.aliases))
        for name, optimizer in OPTIMIZERS.items()
    )


def averages():
    return "\n".join(part(name, PARTS[name]) for name in ("ema", "swa"))


def stopping():
    return "\n".join(part(name, PARTS[name]) for name in ("early_stopping", "target"))


def around():
    return "\n".join([part("groups", Group), part("lookahead", PARTS["lookahead"])])


def part(name, cls):
    """A field that is an object, with its options."""
    rows = options(cls, getattr(cls, "aliases", {}))
    return f"#### `{name}`\n\n{paragraph(cls)}\n\n" + table(("option", "value", "default", "meaning"), rows)


def metrics():
    return "\n".join(
        f"#### `{name}`\n\n{paragraph(metric)}{metric_values(metric)}\n"
        + (
            "\n" + table(("option", "value", "default", "meaning"), rows)
            if (rows := options(metric, metric.aliases))
            else ""
        )
        for name, metric in METRICS.items()
    )


def metric_values(metric):
    """By which names the values of a metric are told, and the metric may be asked for."""
    names = " and ".join(f"`{name}`" for name in metric().parts())
    also = f" Also called {', '.join(f'`{word}`' for word in metric.also)}." if metric.also else ""
    return f"{f' Told as {names}.' if names else ''}{also}"


def losses():
    return "\n".join(entry(name, loss, "", loss.examples[0]) for name, loss in LOSSES.items())


def schedules():
    """The options that most of them have first, then each with its own."""
    rows = [(*rows_of(kind)[name], kinds_with(name)) for name, kind in SHARED.items()]
    parts = [table(("option of several", "value", "default", "meaning", "schedules"), rows)]
    for name, schedule in SCHEDULES.items():
        also = f" Also called {', '.join(f'`{word}`' for word in schedule.also)}." if schedule.also else ""
        own = [row for field, row in rows_of(schedule).items() if not shares(schedule, field)]
        told = "\n" + table(("option", "value", "default", "meaning"), own) if own else ""
        example = f"\n\nExample: `{json.dumps(schedule.examples[0])}`\n"
        parts.append(f"#### `{name}`\n\n{paragraph(schedule)}{also}{example}{told}")
    return "\n".join(parts)


SHARED = {name: kind for kind in (WarmedCurve, ToAnEnd) for name in kind.model_fields if name != "type"}


def kinds_with(field):
    has = [f"`{name}`" for name, schedule in SCHEDULES.items() if shares(schedule, field)]
    lack = [f"`{name}`" for name, schedule in SCHEDULES.items() if not shares(schedule, field)]
    return ", ".join(has) if len(has) <= len(lack) else f"all but {', '.join(lack)}"


def shares(schedule, field):
    """Whether an option is one of the first table."""
    return field in SHARED and rows_of(SHARED[field])[field] == rows_of(schedule).get(field)


def rows_of(cls):
    return dict(zip([name for name in cls.model_fields if name != "type"], options(cls, cls.aliases), strict=True))


def regularizers():
    return "\n".join(entry(name, each, "", each.examples[0]) for name, each in REGULARIZERS.items())


def usual(optimizer):
    low, high = optimizer.usual_lr
    return f"It usually learns with an `lr` from {low:g} to {high:g}."


def augmentations():
    return "\n".join(entry(name, each, "", each.examples[0]) for name, each in AUGMENTATIONS.items())


def warnings():
    return table(
        ("rule", "told of", "because", "test accuracy, %"),
        [(f"`{name}`", rule.when, rule.why, rule.cost) for name, rule in RULES.items()],
    )


def hyperparameters():
    return table(("hyperparameter", "value", "default", "meaning"), options(Hyperparams, {"dataset": "dataset_type"}))


def datasets():
    rows = [
        (f"`{each.name}`", each.title, sizes_of(each), str(len(each.classes)), download_of(each))
        for each in DATASETS.values()
    ]
    return table(("name", "", "images", "classes", "download"), rows)


def examples():
    rows = [
        (
            f"`{each['name']}`",
            each["title"],
            each["data"],
            f"{each['parameters']:,}",
            share(each["claim"]),
            share(each["measured"]),
        )
        for each in networks()
    ]
    return table(("name", "", "data", "parameters", "claimed, %", "measured, %"), rows)


def share(reached):
    return f"{100 * reached['accuracy']:.4g}" if reached and reached["accuracy"] is not None else ""


def sizes_of(entry):
    return f"{entry.train_size:,} + {entry.test_size:,} of {' x '.join(map(str, entry.shape))}"


def download_of(entry):
    return "bundled" if entry.bundled else f"{entry.download_mb:g} MB"


def codes():
    return table(("code", "says"), [(f"`{code}`", sentence) for code, sentence in CODES.items()])


def record():
    """What a run tells of how it was computed; fields that say enough by their names stand with what they are of."""
    found = schemas()
    fields = {name: found["Run"]["properties"][name] for name in RECORD}
    return table(("field", "meaning"), [(f"`{name}`", about) for name, about in facts_of(fields, found)])


def facts_of(fields, found, within=""):
    for name, field in fields.items():
        described = object_of(field, found)
        inner = described.get("properties", {})
        told = {each: its for each, its in inner.items() if "description" in its or object_of(its, found)}
        plain = [f"`{each}`" for each in inner if each not in told]
        about = field.get("description") or described["description"]
        yield f"{within}{name}", f"{about}{' Has ' * bool(plain)}{', '.join(plain)}{'.' * bool(plain)}"
        yield from facts_of(told, found, f"{within}{name}{'[]' * ('items' in field)}.")


def object_of(field, found):
    """The object that a field is, or a list of."""
    inner = next((each for each in field.get("anyOf", ()) if "$ref" in each), field)
    place = inner.get("$ref") or inner.get("items", {}).get("$ref", "")
    return found.get(place.rpartition("/")[2], {})


def commands():
    rows = [
        (f"`lamina {' '.join(words)}{usage(command)}`", paragraph_of(command), flags_of(command))
        for words, command in walk(lamina)
    ]
    return table(("command", "does", "flags"), rows)


def remote():
    """The commands that speak to a server, a sentence each."""
    found = [(words, command) for words, command in walk(lamina) if any(flag.name == "url" for flag in command.params)]
    return table(
        ("command", "does"), [(f"`lamina {words[0]}{usage(command)}`", brief(command)) for words, command in found]
    )


def usage(command):
    pieces = command.collect_usage_pieces(click.Context(command))
    return "".join(f" {piece}" for piece in pieces if piece not in ("[OPTIONS]", "[COMMAND] [ARGS]..."))


def paragraph_of(command):
    """What a command does, without lines that stand as they are."""
    parts = re.split(r"\n\s*\n", inspect.cleandoc(command.help))
    return " ".join(" ".join(part.split()) for part in parts if "\b" not in part)


def flags_of(command):
    """Its own flags: neither settings nor those that name a server."""
    flags = [
        flag
        for flag in command.params
        if isinstance(flag, click.Option) and getattr(flag, "section", "") not in (SETTINGS, SERVER)
    ]
    return ", ".join(f"`{flag.opts[-1]}`" for flag in flags)


def exit_codes():
    return table(("code", "meaning"), [(f"`{code}`", meaning) for code, meaning in MEANING.items()])


def variables():
    return table(
        ("variable", "meaning"),
        [(", ".join(f"`{name}`" for name in names.split(", ")), meaning) for names, meaning in VARIABLES],
    )


def settings():
    return settings_table()


def paragraph(cls):
    """A docstring as one line."""
    return " ".join(inspect.getdoc(cls).split())


def options(cls, aliases):
    """The rows of a specification's fields."""
    schema = cls.model_json_schema()
    return [
        (
            named(name, aliases),
            value_of(field, schema),
            default_of(name, field, schema),
            field.get("description", ""),
        )
        for name, field in schema["properties"].items()
        if name != "type"
    ]


def named(name, aliases):
    others = [f"`{alias}`" for alias, own in aliases.items() if own == name and alias != name]
    return f"`{name}`" + (f", also {', '.join(others)}" if others else "")


def default_of(name, field, schema):
    if name in schema.get("required", ()):
        return "required"
    default = field.get("default")
    return "" if default is None else f"`{json.dumps(short(default))}`"


def short(default):
    """An object as a client would write it: by its type, where there is one."""
    return {name: default[name] for name in ("type", "lr") if name in default} if isinstance(default, dict) else default


def value_of(field, schema):
    """What a field takes, in words. `null` where it is the default is as good as left out, and not told."""
    if "const" in field:
        return f"`{json.dumps(field['const'])}`"
    if len(field.get("enum", ())) > MOST_NAMES:
        return "string"
    if "enum" in field:
        return " or ".join(f"`{json.dumps(each)}`" for each in field["enum"])
    if "$ref" in field:
        return "object"
    if "anyOf" in field:
        choices = [each for each in field["anyOf"] if each != {"type": "null"} or field.get("default") is not None]
        return ", or ".join(dict.fromkeys(value_of(each, schema) for each in choices))
    if field["type"] == "array":
        return list_of(field, schema)
    return WORDS[field["type"]] + bounds_of(field)


def list_of(field, schema):
    inner = field.get("items") or field["prefixItems"][0]
    if field.get("maxItems") == 1:  # its bounds are told beside it, too
        return "a list of one"
    if inner.get("maxItems") == 2:
        return "list of pairs"
    if field.get("maxItems") != 2:
        return (
            f"list of {' and '.join(WORDS[each.get('type', 'object')] + 's' for each in inner.get('anyOf', [inner]))}"
        )
    if {"type": "null"} in inner.get("anyOf", ()):
        return "a pair `[height, width]`, of which either may be `null`"
    # The sizes of a pair are told beside it, for the single number that stands for both.
    return "a pair `[height, width]`" if inner["type"] == "integer" else f"a pair, each a {value_of(inner, schema)}"


def bounds_of(field):
    low, high = field.get("minimum"), field.get("maximum")
    if low is not None and high is not None:
        return f" from {spelled(low)} to {spelled(high)}"
    told = [f"{word} {spelled(field[key])}" for key, word in BOUNDS.items() if key in field]
    return f" {', '.join(told)}" if told else ""


def spelled(number):
    if number == 2**53 - 1:
        return "2^53 - 1"
    return f"{int(number):,}" if number == int(number) else f"{number:g}"


WORDS = {
    "integer": "whole number",
    "number": "number",
    "string": "string",
    "object": "object",
    "array": "list",
    "boolean": "`true` or `false`",
    "null": "`null`",
}
BOUNDS = {"minimum": "from", "exclusiveMinimum": "above", "maximum": "up to", "exclusiveMaximum": "below"}

TABLES = {
    make.__name__: make
    for make in (
        *(endpoints, codes, record, commands, remote, exit_codes, variables, settings),
        *(
            layers,
            common,
            combinators,
            optimizers,
            around,
            schedules,
            losses,
            regularizers,
            averages,
            stopping,
            metrics,
            augmentations,
            warnings,
        ),
        *(hyperparameters, datasets, examples),
    )
}


def renewed(text):
    """A README with its tables made anew."""
    return PLACE.sub(lambda found: f"{found[1]}\n{TABLES[found[2]]()}\n{found[4]}", text)


if __name__ == "__main__":
    for path in READMES:
        path.write_text(renewed(path.read_text()))
