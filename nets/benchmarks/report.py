"""Results of a benchmark as one HTML file: nothing in it is loaded from elsewhere, and nothing runs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from html import escape
from math import isfinite

from nets.benchmarks.pictures import Pictures
from nets.benchmarks.results import Cell, Machine, Results
from nets.plots.style import DARK, LIGHT, Palette, switched
from nets.plots.svg import BASICS
from nets.plots.words import THOUSANDS, number, unit_of

POLICY = "default-src 'none'; style-src 'unsafe-inline'"
STYLE = """
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0 auto;max-width:956px;padding:24px 28px 64px;background:var(--paper);color:var(--ink);
font:15px/1.55 system-ui,sans-serif}
h1{font-size:26px;line-height:1.25;margin:0 0 4px}
h2{font-size:19px;margin:44px 0 6px}h3{font-size:15px;margin:22px 0 4px}
p{margin:6px 0 12px;max-width:75ch}.quiet{color:var(--quiet)}
nav{margin:14px 0;display:flex;flex-wrap:wrap;gap:2px 16px}a{color:var(--link)}
.warnings{border:1px solid var(--warn);border-left-width:6px;padding:10px 16px;margin:18px 0;border-radius:4px}
.warnings ul{margin:4px 0;padding-left:20px}
.picture svg{display:block;max-width:100%;height:auto}.narrow{display:none}
.scroll{overflow-x:auto;margin:8px 0}
table{border-collapse:collapse;font-size:13px;font-variant-numeric:tabular-nums}
th,td{text-align:left;padding:4px 14px 4px 0;border-bottom:1px solid var(--grid);vertical-align:top;white-space:nowrap}
td.n,th.n{text-align:right}td.wrap{white-space:normal;min-width:220px;overflow-wrap:anywhere}
pre{font:12.5px/1.5 ui-monospace,monospace;border:1px solid var(--grid);border-radius:4px;padding:10px 12px;
white-space:pre-wrap;overflow-wrap:anywhere;max-height:340px;overflow:auto}
code{font:0.92em ui-monospace,monospace;overflow-wrap:anywhere}
@media (max-width:700px){body{padding:16px 16px 48px}.wide{display:none}.narrow{display:block}h1{font-size:22px}}
@media print{body{max-width:none;padding:0;font-size:11px}pre{max-height:none}
.wide{display:block}.narrow,nav{display:none}
.picture,tr{break-inside:avoid}h2,h3{break-after:avoid}.scroll{overflow:visible}table{font-size:8px}
th,td{padding-right:6px;white-space:normal}}
"""


def report(results: Results) -> str:
    """A page for a browser and for paper, light and dark."""
    pictures = Pictures(results)
    names = ", ".join(machine["name"] for machine in results["machines"])
    sections = [
        ("speed", "Speed", speed(pictures)),
        ("roofline", "Roofline", roofline(pictures)),
        ("compilation", "Compilation and steady time", compilation(pictures)),
        ("memory", "Memory", memory(pictures)),
        ("energy", "Energy", energy(pictures)),
        ("parity", "Parity", parity(results)),
        ("figures", "All figures", figures(results)),
        ("environment", "Environment", "".join(map(environment, results["machines"])) + devices(results)),
        ("rerun", "How to rerun", rerun(results)),
    ]
    links = "".join(f'<a href="#{place}">{heading}</a>' for place, heading, _ in sections)
    body = "".join(f'<h2 id="{place}">{heading}</h2>{inside}' for place, heading, inside in sections)
    cells, repeats = counted(len(results["cells"]), "cell"), counted(results["protocol"]["repeats"], "repeat")
    when = f"{results['created_at'][:16].replace('T', ' ')} UTC"
    lead = f"{when} · {cells} · {repeats} · {names} · {results['id']}"
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" '
        f'content="{POLICY}"><meta name="viewport" content="width=device-width,initial-scale=1">'
        f'<meta name="color-scheme" content="light dark"><title>Benchmark {text(results["id"])}</title>'
        f"<style>{colours()}{STYLE}{BASICS}\n{switched()}</style></head><body>"
        f'<h1>Training compared on {text(names)}</h1><p class="quiet">{text(lead)}</p>'
        f"{warnings(results)}<nav>{links}</nav>{body}</body></html>\n"
    )


def colours() -> str:
    """The palettes of the pictures, for what stands around them."""

    def of(palette: Palette, warn: str) -> str:
        link = palette.series[0]
        named = {"paper": palette.paper, "ink": palette.ink, "quiet": palette.quiet, "grid": palette.grid}
        return "".join(f"--{name}:{value};" for name, value in {**named, "link": link, "warn": warn}.items())

    dark = f"@media screen and (prefers-color-scheme:dark){{:root{{{of(DARK, DARK.series[4])}}}}}"
    return f":root{{{of(LIGHT, LIGHT.series[1])}}}{dark}"


def counted(number: int, what: str) -> str:
    """`1 cell`, `2 cells`."""
    return f"{number} {what}{'s' * (number != 1)}"


def text(value: object) -> str:
    """As it is, never as markup."""
    return escape(str(value))


def warnings(results: Results) -> str:
    """What a reader has to know first."""
    of_machines = {each for machine in results["machines"] for each in machine["quiet"]["warnings"]}
    found = [each for each in results["warnings"] if each not in of_machines]  # told below, with the machine's name
    if not results["complete"]:
        found.append("The benchmark was ended early: some cells have fewer repeats, or were not measured.")
    for machine in results["machines"]:
        found += [f"{machine['name']} was not quiet: {each}" for each in machine["quiet"]["warnings"]]
    found += [f"{where(cell)}: {cell['error']}" for cell in results["cells"] if cell["error"]]
    apart = [one for one in results["parity"] if not one["within"]]
    found += [f"{one['body']}, batch {one['batch_size']}: {one['compared']} is beyond the tolerance" for one in apart]
    items = "".join(f"<li>{text(each)}</li>" for each in dict.fromkeys(found))
    if not items:
        return ""
    return f'<div class="warnings" role="note"><strong>Before you read the figures</strong><ul>{items}</ul></div>'


def where(cell: Cell) -> str:
    """Which cell."""
    return f"{cell['body']}, {cell['machine']} {cell['device']} {cell['precision']}, batch {cell['batch_size']}"


def speed(pictures: Pictures) -> str:
    """Bars, and lines by batch size."""
    about = (
        "Samples of training a second: the median of the repeats, with its 95 % interval by bootstrap. Compilation is "
        "left out. Each device is shown at the batch size at which it is fastest."
    )
    against = pictures.by_batch()
    lines = f"<h3>Against batch size</h3>{against}" if against else ""
    return f"<p>{about}</p>{pictures.speeds() or NOTHING}{lines}"


NOTHING = '<p class="quiet">Nothing was measured.</p>'


def roofline(pictures: Pictures) -> str:
    """FLOP/s against arithmetic intensity."""
    about = (
        "Floating point operations of the model a second, over those per byte that a step has to move (weights, "
        "gradients, optimizer state and activations once each). The lines are what the device can do at most: its "
        "measured bandwidth on the left, the measured peak of a matrix product on the right."
    )
    return f"<p>{about}</p>{pictures.roofline() or NOTHING}"


def compilation(pictures: Pictures) -> str:
    """Compile time against steady time."""
    about = (
        "Cold: with nothing kept of earlier runs. Warm: with compiled programs on the disk. A point far above the time "
        "of an epoch is a network that compiles longer than it trains."
    )
    return f"<p>{about}</p>{pictures.compiling() or NOTHING}"


def memory(pictures: Pictures) -> str:
    """Peak memory, and whose it is."""
    whose = dict.fromkeys(
        f"{cell['device']}: {'of the device' if cell['peak_memory']['of'] == 'device' else 'of the whole process'}"
        for cell in pictures.results["cells"]
    )
    reasons = reasons_of((cell["device"], cell["peak_memory"]["reason"]) for cell in pictures.results["cells"])
    size = f", at batch size {pictures.sizes[0]:,}" if len(pictures.sizes) == 1 else ""
    return f"<p>The most memory in use{size} ({text('; '.join(whose))}).</p>{pictures.memory() or NOTHING}{reasons}"


def energy(pictures: Pictures) -> str:
    """Joules, or why there are none."""
    meters = dict.fromkeys(one for cell in pictures.results["cells"] if (one := cell["energy"]["of"]))
    metered = f"<p>Metered: {text(', '.join(meters))}.</p>" if meters else ""
    several = len(pictures.results["machines"]) > 1
    reasons = reasons_of(
        (f"{cell['machine']} {cell['device']}" if several else cell["device"], cell["energy"]["reason"])
        for cell in pictures.results["cells"]
    )
    return f"{metered}{pictures.energies()}{reasons}" or NOTHING


def reasons_of(found: Iterable[tuple[str, str | None]]) -> str:
    """Why something is not known, once for each device."""
    lines = dict.fromkeys(f"{place}: not known, because {why}." for place, why in found if why)
    return "".join(f'<p class="quiet">{text(line)}</p>' for line in lines)


def parity(results: Results) -> str:
    """How far losses of one seed are apart."""
    steps = results["protocol"]["loss_steps"]
    about = (
        f"The largest difference of the losses of the first {steps} steps, from the same weights in the same order, "
        "relative to the reference."
    )
    rows = [
        [
            *(one["body"], f"{one['batch_size']:,}", one["reference"], one["compared"]),
            *(f"{one['largest_difference']:.2g}", f"{one['tolerance']:.2g}", "yes" if one["within"] else "NO"),
        ]
        for one in results["parity"]
    ]
    heads = ("network", "batch size", "reference", "compared", "difference", "tolerance", "within")
    return (
        f"<p>{about}</p>{table(heads, rows, right=(1, 4, 5), wrap=(2, 3))}"
        if rows
        else "<p>There was one device in one precision.</p>"
    )


def figures(results: Results) -> str:
    """A row for each cell."""
    heads = (
        *("network", "machine", "device", "precision", "batch size", "samples/s", "95 % interval", "repeats"),
        *("step p5 / p50 / p95 (ms)", "first step (s)", "compile cold / warm (s)", "FLOP/s", "of measured peak"),
        *("of data sheet's (mfu)", "memory (MiB)", "J per 1,000", "to target (s)", "one sample p50 / p99 (ms)"),
        *("inference (samples/s)", "loss", "computed in"),
    )
    return table(heads, [row_of(cell) for cell in results["cells"]], right=tuple(range(4, 20)))


def row_of(cell: Cell) -> list[str]:
    """The figures of a cell; nothing where one is not known."""
    rate, step, infer, target = cell["samples_per_second"], cell["step_seconds"], cell["inference"], cell["target"]
    memory = cell["peak_memory"]["bytes"]
    reached = "" if target is None else figure(target["seconds"]) or "missed"
    return [
        *(cell["body"], cell["machine"], cell["device"], cell["precision"], f"{cell['batch_size']:,}"),
        figure(rate and rate["median"]),
        f"{figure(rate['low'])} to {figure(rate['high'])}" if rate else "",
        str(cell["repeats"]),
        " / ".join(figure(1000 * each) for each in (step["p5"], step["p50"], step["p95"])) if step else "",
        figure(cell["first_step_seconds"]),
        " / ".join(figure(cell["compile_seconds"][kind]) or "?" for kind in ("cold", "warm")),
        figure(cell["model_flops_per_second"]),
        *(percent(cell["utilization"]["measured"]), percent(cell["utilization"]["data_sheet"])),
        figure(memory and memory / (1 << 20)),
        figure(cell["energy"]["joules_per_1000_samples"]),
        reached,
        f"{figure(1000 * infer['latency_p50'])} / {figure(1000 * infer['latency_p99'])}" if infer else "",
        figure(infer and infer["throughput"]),
        figure(cell["losses"] and cell["losses"]["final"]),
        cell["effective_precision"] or "",
    ]


def figure(value: float | None) -> str:
    """Three or four digits."""
    if value is None or not isfinite(value):
        return ""
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e7 else number(float(f"{value:.4g}"))


def rate(value: float, unit: str) -> str:
    """`220.4 GFLOP/s`."""
    size, letter = unit_of(value, THOUSANDS)
    return f"{value / size:.4g} {letter}{unit}"


def percent(share: float | None) -> str:
    """Of a hundred."""
    return "" if share is None else f"{100 * share:.3g} %"


def table(
    heads: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[int] = (), wrap: Sequence[int] = ()
) -> str:
    """Columns in which nothing stands are left out."""
    kept = [place for place in range(len(heads)) if any(row[place] for row in rows)]
    kind = {place: ' class="n"' if place in right else ' class="wrap"' if place in wrap else "" for place in kept}
    head = "".join(f"<th{kind[place]}>{text(heads[place])}</th>" for place in kept)
    body = "".join(f"<tr>{''.join(f'<td{kind[place]}>{text(row[place])}</td>' for place in kept)}</tr>" for row in rows)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def environment(machine: Machine) -> str:
    """A machine: hardware, versions, flags, how quiet it was."""
    rows = [[name, value] for name, value in facts(machine) if value]
    return f"<h3>{text(machine['name'])}</h3>{table(('what', 'which'), rows, wrap=(1,))}"


def facts(machine: Machine) -> Iterable[tuple[str, str]]:
    """The lines of a machine."""
    env, quiet = machine["environment"], machine["quiet"]
    processor = env["processor"]
    quota = f", the time of {processor['quota']:g}" if processor["quota"] else ""
    cores = f"{processor['cores']} of {processor['cores_of_machine']} cores{quota}"
    yield "processor", ", ".join(filter(None, (processor["model"], processor["vector_unit"], cores)))
    yield "memory", f"{env['ram_bytes'] / (1 << 30):.1f} GiB" if env["ram_bytes"] else ""
    yield "threads", str(env["threads"])
    yield "device that trains", flat(env["device"])
    yield "system", f"{env['os']}, {env['kernel']}, {env['python']}"
    yield "versions", flat({**machine["versions"], **env["libraries"]})
    yield "revision", machine["revision"] or ""
    yield "flags", flat(env["flags"])
    yield "power limit", f"{machine['power_limit_watts']:.0f} W" if machine["power_limit_watts"] else ""
    yield "clocks", flat({name: f"{value:.0f} MHz" for name, value in machine["clocks"].items() if value})
    load = quiet["load_average"]
    yield "load before the start", " / ".join(f"{each:.2f}" for each in load) + " (1, 5, 15 minutes)" if load else ""
    yield "busy with others", percent(quiet["busy"])
    yield "steal", percent(quiet["steal"])
    yield "governor", quiet["governor"] or ""


def flat(value: object) -> str:
    """Names and values, with commas."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {flat(each)}" for name, each in value.items() if each not in (None, "", {}, []))
    return " ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def devices(results: Results) -> str:
    """The devices with their peaks."""
    rows = []
    for device in results["devices"]:
        peaks = ", ".join(f"{name} {rate(peak, 'FLOP/s')}" for name, peak in device["measured_peaks"].items() if peak)
        sheet = device["data_sheet"]["source"] or ""
        wide = rate(device["bandwidth"], "B/s") if device["bandwidth"] else ""
        rows.append([device["machine"], device["id"], device["kind"], peaks, wide, sheet])
    heads = ("machine", "device", "kind", "measured peaks", "measured bandwidth", "data sheet")
    return f"<h3>Devices</h3>{table(heads, rows, wrap=(5,))}"


def rerun(results: Results) -> str:
    """The command, the protocol, and each body with its SHA-256."""
    told = {name: value for name, value in results["protocol"].items() if value is not None}
    versions = dict.fromkeys(
        f"lamina {machine['versions'].get('lamina', '?')}" + (f", {machine['revision']}" if machine["revision"] else "")
        for machine in results["machines"]
    )
    merged = f"<p>Put together from {text(', '.join(results['merged_from']))}.</p>" if results["merged_from"] else ""
    bodies = "".join(
        f"<h3>{text(body['name'])}</h3><p>SHA-256 <code>{text(body['sha256'])}</code>, {body['params']:,} parameters, "
        f"{body['macs_forward']:,} multiply-adds forward and {body['flops_train']:,} FLOPs of training for a sample; "
        f"{body['train_samples']:,} samples of {text(body['dataset'])}.</p>"
        f"<pre>{text(json.dumps(body['body'], indent=1, allow_nan=False))}</pre>"
        for body in results["bodies"]
    )
    return (
        f"<p>With {text('; '.join(versions))}, each body below in a file of its own:</p><pre>{text(results['command'])}"
        "</pre><p><code>lamina bench merge A/results.json B/results.json --out DIR</code> puts results of several "
        f"machines into one report.</p>{merged}<h3>Protocol</h3><p>{text(flat(told))}</p>{bodies}"
    )
