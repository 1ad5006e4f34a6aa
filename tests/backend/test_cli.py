"""The `lamina` command as a user types it: real processes, no server."""

import json
import os
import re
import resource
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import click
import pytest

from backend.cli.manual import page
from backend.cli.shape import walk
from backend.cli.top import lamina as top
from backend.commands.exits import MEANING, NOT_FOUND
from backend.config import (
    COMMAND,
    Settings,
    rows,
)
from backend.demo.local_server import LocalServer, free_port
from backend.training.fetch import fetch
from nets import datasets, examples

HOUSE = Path(__file__).parents[2]
HEAVY = ("jax", "flask", "gunicorn", "numpy", "rich", "sklearn", "pydantic", "nets", "tensorflow_datasets", "requests")


def lamina(*arguments, **environment):
    clean = {name: value for name, value in os.environ.items() if not name.startswith("LAMINA_")}
    return subprocess.run(
        [sys.executable, "-m", "backend.cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        env={**clean, "COLUMNS": "80", **environment},
    )


def test_help_answers_at_once():
    """By the time of processors, as nothing is waited for."""
    took = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert lamina("--help").returncode == 0
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        took.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(took) < 0.3


@pytest.mark.parametrize(
    ("statement", "heavy"),
    [
        ("import backend.cli.top", HEAVY),
        ("import backend.demo.tour", ("jax", "numpy", "nets")),
        ("import backend.server.serve", ("jax", "flax", "sklearn")),
        ("import backend.commands.state", ("jax", "flax", "scipy", "sklearn")),
    ],
)
def test_what_is_heavy_is_imported_late(statement, heavy):
    code = f"import sys; {statement}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not set(heavy) & set(loaded)


@pytest.mark.parametrize("command", [(), ("--help",), ("serve", "--help")])
def test_help_lists_every_setting(command):
    text = " ".join(lamina(*command).stdout.split())
    for row in rows():
        assert row.flag in text
        assert row.variable in text
        assert row.default in text


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (("gc", "--sate-dir", "x"), "No such option '--sate-dir'. Did you mean '--state-dir'?"),
        (("datsets",), "No such command 'datsets'. Did you mean 'datasets'?"),
        (("datasets", "prepre"), "No such command 'prepre'. Did you mean 'prepare'?"),
        (("export-state",), "Missing argument 'FILE'."),
    ],
)
def test_a_misspelt_word_gets_the_right_one_and_code_2(typed, meant):
    answer = lamina(*typed)
    assert answer.returncode == 2
    assert answer.stderr.startswith(f"lamina: {meant}\n`lamina ") and "Traceback" not in answer.stderr


def test_the_data_directory_may_stand_before_the_action_and_a_switch_alone(tmp_path):
    assert lamina("datasets", "--data-dir", tmp_path, "prepare", "digits").returncode == 0
    bad = lamina("serve", "--allow-anonymous", "--port", "x")
    assert (bad.returncode, bad.stderr) == (2, "lamina: --port: expected a whole number from 0 to 65535, got 'x'\n")


def test_the_manual_page_has_every_command_and_flag_and_no_warning():
    roff = page(top)
    for words, command in walk(top):
        assert f"lamina {' '.join(words)} ".replace("-", r"\-") in roff
        for flag in command.params:
            assert flag.opts[-1].replace("-", r"\-") in roff or isinstance(flag, click.Argument)
    for code in MEANING:
        assert rf"\fB{code}\fR" in roff
    assert max(map(len, roff.splitlines())) <= 100 and not re.search(
        r"(?m)^\.(?![A-Z]{2} |[A-Z]{2}$|nf|fi|nh|ad|B )", roff
    )
    for checker in (["groff", "-ww", "-man", "-Tutf8"], ["mandoc", "-T", "lint"]):
        if shutil.which(checker[0]):
            done = subprocess.run(checker, input=roff, capture_output=True, text=True, timeout=60)
            assert not done.stderr and (checker[0] == "groff" or not done.stdout), done


def test_commands_that_messages_and_pages_name_are_there():
    known = {" ".join(words) for words, _ in walk(top)}
    groups = {words[0] for words, _ in walk(top) if len(words) > 1}
    rooms = [HOUSE / "backend", HOUSE / "nets"]
    texts = [
        HOUSE / "README.md",
        *(path for room in rooms for kind in ("*.py", "README.md") for path in room.rglob(kind)),
    ]
    named = [
        (path.name, *found)
        for path in texts
        for found in re.findall(r"`lamina ([a-z][a-z-]+)(?: ([a-z]+)(?=[ `]))?", path.read_text(encoding="utf-8"))
    ]
    assert len(named) > 20
    for path, command, action in named:
        assert command in known and (command not in groups or not action or f"{command} {action}" in known), path


def test_version():
    answer = lamina("--version")
    assert (answer.returncode, answer.stdout) == (0, "lamina 0.1.0\n")


def test_a_bad_value_is_one_sentence_and_code_2():
    answer = lamina("serve", LAMINA_PORT="99999")
    assert answer.returncode == 2
    assert answer.stderr == "lamina: LAMINA_PORT: expected a whole number from 0 to 65535, got '99999'\n"


def test_a_port_in_use_is_one_sentence_and_code_2(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        answer = lamina("serve", "--port", port, "--state-dir", tmp_path)
    assert answer.returncode == 2
    assert (
        answer.stderr == f"lamina: --port: {port} is in use on 127.0.0.1; stop what listens there or choose another\n"
    )


def test_a_state_directory_that_cannot_be_made_is_one_sentence_and_code_2(tmp_path):
    (tmp_path / "file").touch()
    answer = lamina("serve", "--port", 0, "--state-dir", tmp_path / "file" / "state")
    assert answer.returncode == 2
    assert answer.stderr == f"lamina: --state-dir: cannot write to {tmp_path}/file/state (Not a directory)\n"


def test_a_foreign_address_is_one_sentence_and_code_2(tmp_path):
    answer = lamina("serve", "--host", "192.0.2.1", "--port", 0, "--state-dir", tmp_path)
    assert answer.returncode == 2
    assert answer.stderr.startswith("lamina: --host: cannot listen on 192.0.2.1 (")


@pytest.mark.parametrize("host", ["0.0.0.0", pytest.param("::", marks=pytest.mark.slow)])
def test_a_public_address_without_a_token_is_one_sentence_and_code_2(tmp_path, host):
    done = lamina("serve", "--host", host, "--port", "0", "--state-dir", str(tmp_path))
    assert done.returncode == 2
    assert done.stderr.startswith("lamina: --host: ") and len(done.stderr.splitlines()) == 1
    assert "LAMINA_TOKEN" in done.stderr and "--allow-anonymous" in done.stderr


def test_datasets_lists_every_data_set(tmp_path):
    answer = lamina("datasets", "--data-dir", tmp_path)
    assert answer.returncode == 0
    for name in datasets.DATASETS:
        assert f"\n{name} " in answer.stdout
    assert "bundled" in answer.stdout
    assert "\x1b" not in answer.stdout


def test_datasets_are_listed_for_programs(tmp_path):
    listed = json.loads(lamina("datasets", "--json", "--data-dir", tmp_path).stdout)["datasets"]
    assert {each["name"]: each["source"] for each in listed}["digits"] == "bundled" and len(listed) == len(
        datasets.DATASETS
    )


def test_examples_are_listed_and_printed_as_bodies():
    listed = lamina("examples", COLUMNS="200").stdout
    assert all(name in listed for name in examples.names())
    body = examples.network("nielsen")["body"]
    assert json.loads(lamina("examples", "nielsen").stdout) == body
    assert json.loads(lamina("examples", "nielsen", "--json").stdout)["body"] == body
    assert len(json.loads(lamina("examples", "--json").stdout)["examples"]) == len(examples.names())
    refused = lamina("examples", "nielson")
    assert refused.returncode == NOT_FOUND and "did you mean nielsen?" in refused.stderr


def test_datasets_prepare_without_a_terminal_prints_plain_lines(tmp_path):
    answer = lamina("datasets", "prepare", "digits", "--data-dir", tmp_path)
    assert answer.returncode == 0
    assert "test images, 10 classes" in answer.stdout.splitlines()[-1]
    assert "\x1b" not in answer.stdout


def test_datasets_prepare_as_json_ends_with_done(tmp_path):
    answer = lamina("datasets", "prepare", "digits", "--json", "--data-dir", tmp_path)
    lines = [json.loads(line) for line in answer.stdout.splitlines()]
    assert answer.returncode == 0
    assert lines[-1] == {"done": True}
    assert all(set(line) == {"fraction", "message"} for line in lines[:-1])


def test_datasets_prepare_of_an_unknown_name_ends_with_the_reason(tmp_path):
    answer = lamina("datasets", "prepare", "digit", "--json", LAMINA_DATA_DIR=str(tmp_path))
    assert answer.returncode == 1
    assert 'did you mean "digits"' in json.loads(answer.stdout.splitlines()[-1])["error"]


@pytest.fixture
def foreign(tmp_path, monkeypatch):
    """A folder of a user with packages of the same names, which comes first wherever Python looks."""
    for name in ("backend", "nets"):
        (tmp_path / name).mkdir()
        for file in ("__init__.py", "cli.py"):
            (tmp_path / name / file).write_text("raise SystemExit('somebody else')\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return tmp_path


def test_packages_of_a_user_do_not_shadow_ours(foreign):
    commands = [[*COMMAND, "--version"], [sys.executable, HOUSE / "lamina.py", "datasets"]]
    for command in commands:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stderr) == (0, ""), command


@pytest.mark.slow
def test_nor_do_they_in_the_servers_and_fetches_that_we_start(foreign):
    with LocalServer(Settings(port=free_port(first=0), state_dir=foreign / "s", data_dir=foreign / "d")) as server:
        server.wait_until_healthy()
    fetch("digits", foreign / "d", progress=lambda *_: None, stopped=lambda: False)


@pytest.mark.parametrize(
    ("command", "flag"),
    [
        (("serve", "--port", "0"), "--state-dir"),
        (("serve", "--port", "0"), "--data-dir"),
        (("gc",), "--state-dir"),
        (("import-state", "x.tar"), "--state-dir"),
    ],
)
def test_a_link_that_leads_nowhere_is_one_sentence_and_code_2(tmp_path, command, flag):
    (tmp_path / "link").symlink_to(tmp_path / "unmounted")
    other = ["--state-dir", tmp_path / "state"] if flag == "--data-dir" else []
    done = lamina(*command, *other, flag, tmp_path / "link")
    what = f"lamina: {flag}: {tmp_path}/link is a link to {tmp_path}/unmounted, which is not there: make or mount that, or remove the link\n"
    assert (done.returncode, done.stderr) == (2, what)
