"""The commands that speak to a server, as a user types them: one server for all of them."""

import json
import os
import signal
import subprocess
import sys

import numpy as np
import psutil
import pytest
from PIL import Image

from backend.cli.top import main
from backend.client import Client, Event
from backend.commands import exits
from backend.commands.following import line_of
from backend.commands.listing import said, words_of
from backend.commands.telling import Name
from backend.config import Settings
from backend.demo.local_server import LocalServer, free_port
from tests.backend.conftest import BODY, offline_app, parts, serving


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    app = offline_app(tmp_path_factory.mktemp("remote"))
    with serving(app) as url:
        yield url
    parts(app).close()


@pytest.fixture(scope="module")
def run(url):
    client = Client(url)
    return client.wait(client.train(BODY, name="the first", tags=["kept"]))


@pytest.fixture
def typed(url, monkeypatch, capsys, tmp_path):
    """Types a command; exit code, standard output, standard error."""
    monkeypatch.setenv("LAMINA_URL", url)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "body.json").write_text(json.dumps(BODY))

    def command(*words):
        code = main([str(word) for word in words])
        told = capsys.readouterr()
        assert "\x1b" not in told.out and "Traceback" not in told.err
        return code, told.out, told.err

    return command


def test_train_waits_and_tells_how_it_ended(typed):
    code, out, err = typed(
        "train", "body.json", "--wait", "--name", "seven", "--tag", "a", "--set", "hyperparams.seed=7"
    )
    lines = out.splitlines()
    assert (code, err) == (exits.OK, "")
    assert "seven" in lines[0] and lines[-1].startswith(lines[0][:10] + "  succeeded  test accuracy")
    assert [line.split()[0] for line in lines[1:-1]] == ["state", "state", "epoch", "epoch", "state"]
    assert all(len(line) <= 80 for line in lines)
    code, out, _ = typed("show", lines[0][:12], "--json")
    record = json.loads(out)
    assert (record["hyperparams"]["seed"], record["tags"], record["name"]) == (7, ["a"], "seven")


def test_a_shell_loop_gets_ids_alone(typed, monkeypatch):
    with open("body.json") as body:
        monkeypatch.setattr("sys.stdin", body)
        code, out, _ = typed("train", "-", "-q", "--set", "hyperparams.optimizer.lr=0.02")
    ident = out.strip()
    assert (code, len(ident)) == (exits.OK, 34)
    assert typed("wait", ident, "-q") == (exits.OK, "", "")
    assert json.loads(typed("wait", ident, "--json")[1])["hyperparams"]["optimizer"]["lr"] == 0.02
    assert ident in typed("runs", "-q", "--state", "succeeded")[1].split()


def test_a_refused_body_names_every_problem(typed):
    code, out, err = typed("train", "body.json", "--set", "hyperparams.epochs=0", "--set", "hyperparams.sead=1")
    assert (code, out) == (exits.FAILED, "")
    assert err.startswith("lamina: 2 problems:\n") and "/hyperparams/sead" in err and "/hyperparams/epochs" in err
    told = json.loads(typed("train", "body.json", "--json", "--set", "hyperparams.epochs=0")[2])
    assert told["status"] == 400 and told["errors"][0]["pointer"] == "/hyperparams/epochs"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("show", "zz"), exits.NOT_FOUND, "no run whose id begins with 'zz'"),
        (("train", "none.json"), exits.USAGE, "none.json: No such file"),
        (("train", "body.json", "--set", "nothing"), exits.USAGE, "is no PATH=VALUE"),
        (("train", "body.json", "--timeout", "9"), exits.USAGE, "--timeout goes with --wait"),
        (("wait", "r_1", "--timeout", "soon"), exits.USAGE, "is no duration: write 90s"),
        (("cancel",), exits.USAGE, "name runs, or give --all"),
        (("delete",), exits.USAGE, "name runs, or say which"),
        (("edit", "r_1"), exits.USAGE, "say what changes"),
        (("runs", "--url", "http://127.0.0.1:1"), exits.NO_SERVER, "`lamina serve` starts a server here"),
        (("runs", "--url", "ftp://x"), exits.USAGE, "no address of a server"),
        (("--url", "http://127.0.0.1:1", "runs"), exits.NO_SERVER, "no answer from http://127.0.0.1:1:"),
        (("--url", "http://127.0.0.1:1", "gc"), exits.USAGE, "--url before a command names a server to speak to; `gc`"),
        (("runs", "--sort", "best.los"), exits.FAILED, "best.val_loss"),
    ],
)
def test_what_cannot_be_done_is_a_sentence_and_a_code(typed, words, code, said):
    done, out, err = typed(*words)
    assert (done, out) == (code, "") and said in err and err.startswith("lamina: ")


@pytest.mark.parametrize(
    ("words", "url", "token"),
    [
        ("runs", None, None),
        ("--url A --token T runs", "A", "T"),
        ("runs --url A --token T", "A", "T"),
        ("--url A --token T show r_1 --url B --token=", "B", ""),
    ],
)
def test_a_server_is_named_before_a_command_or_after_it(monkeypatch, words, url, token):
    asked = []
    monkeypatch.setattr("backend.commands.telling.spoken", lambda _, **rest: asked.append(rest) or 0)
    assert main(words.split()) == exits.OK
    assert (asked[0]["url"], asked[0]["token"]) == (url, token)


def test_waiting_for_several_tells_each_state_once(typed):
    ids = [typed("train", "body.json", "-q", "--queue", "--set", "hyperparams.epochs=1")[1].strip() for _ in range(4)]
    lines = [line.split()[:3] for line in typed("wait", *ids)[1].splitlines()]
    for ident in ids:
        told = [line[2] for line in lines if line[:2] == [ident[:10], "state"]]
        assert told == ["queued", "running", "succeeded"]
    assert "lamina train - --set resume_from=" in typed("resume", ids[0])[2]


def test_what_has_a_flag_is_set_by_its_path_as_well(typed):
    words = ("--set", 'tags=["a"]', "--set", "queue=true", "--set", "name=this", "--name", "that")
    ident = typed("train", "body.json", "-q", "--wait", *words)[1].strip()
    record = json.loads(typed("show", ident, "--json")[1])
    assert (record["tags"], record["name"]) == (["a"], "that")
    assert "body: is not a field" in typed("train", "body.json", "--set", "body=1")[2]


def test_a_run_is_named_by_its_name_as_well(typed, run):
    assert json.loads(typed("show", "the first", "--json")[1])["run_id"] == run.run_id
    assert "the first, or not" in typed("show", "the first, or not")[2]


def test_runs_and_models_are_listed_within_80_columns(typed, run):
    other = typed("train", "body.json", "-q", "--wait", "--set", "hyperparams.seed=5")[1].strip()
    for words, known in (
        ("runs", run.short),
        ("models", "m_"),
        (f"show {other}", other),
        (f"compare {run.short} {other}", run.short),
    ):
        code, out, _ = typed(*words.split())
        assert code == exits.OK and known in out, words
        assert all(len(line) <= 80 and line == line.rstrip() for line in out.splitlines())
    listed = json.loads(typed("runs", "--json", "--tag", "kept")[1])["runs"]
    assert [each["run_id"] for each in listed] == [run.run_id]
    assert typed("runs", "--csv", "--tag", "kept")[1].count("\n") == 2
    assert typed("runs", "--state", "failed", "--state", "cancelled", "--name", "nobody")[1] == "No runs.\n"
    assert "more than these 1" in typed("models", "--limit", "1")[2]


def test_an_end_that_was_superseded_asks_for_nothing():
    data = {"run_id": "r_1", "state": "interrupted", "superseded": True, "was": "failed", "error": "resume it"}
    assert line_of(Event("state", data, "3")).plain == "state     interrupted  resumed since"


def test_a_name_that_is_cut_keeps_its_number():
    name = Name("CNN 32-64-128-10 on mnist #12")
    assert [name.within(width) for width in (40, 29, 20, 8)] == [
        name.name,
        name.name,
        "CNN 32-64-128-1… #12",
        "CNN… #12",
    ]
    assert Name("rate 0.01, seed #two").within(9) == "rate 0.01, seed #two", "other names are cut at their ends"
    assert Name("a\x1b[2J").name == "a\N{REPLACEMENT CHARACTER}[2J"


def test_the_log_of_a_run_as_lines_and_as_json(typed, run):
    lines = typed("logs", run.short)[1].splitlines()
    assert [line.split()[0] for line in lines] == ["state", "state", "epoch", "epoch", "state"]
    events = [json.loads(line) for line in typed("logs", run.short, "--follow", "--json")[1].splitlines()]
    assert [event["id"] for event in events] == ["1", "2", "3", "4", "5"]
    assert typed("follow", run.short)[1].splitlines() == lines


def test_a_picture_and_numbers_are_inferred(typed, run):
    grid = np.array(run.sample_predictions[0]["grid"], np.uint8)
    Image.fromarray(255 - grid).resize((56, 56)).save("seven.png")
    code, out, _ = typed("infer", run.short, "seven.png")
    assert code == exits.OK and "The picture was inverted" in out and "scaled from 56 x 56 to 28 x 28" in out
    with open("seven.json", "w") as file:
        json.dump((grid / 255).tolist(), file)
    assert typed("infer", run.model_id, "seven.json", "--model", "-q")[1].strip() == str(
        run.sample_predictions[0]["prediction"]
    )
    assert json.loads(typed("infer", run.short, "seven.json", "--json")[1])["run_id"] == run.run_id


def test_weights_are_written_in_the_format_of_their_name(typed, run):
    code, out, _ = typed("weights", run.short, "w.npz")
    assert code == exits.OK and out.startswith("w.npz  ")
    assert any(np.load("w.npz")[name].shape == (784, 16) for name in np.load("w.npz").files)
    told = json.loads(typed("weights", run.short, "w.msgpack", "--json")[1])
    assert told["sha256"] == run.weights_sha256
    assert not [name for name in os.listdir() if name.endswith(".part")]


def test_runs_are_cancelled_resumed_and_waited_for_by_their_code(typed):
    long = ("--set", "hyperparams.epochs=100000")
    first = typed("train", "body.json", "-q", *long)[1].strip()
    second = typed("train", "body.json", "-q", "--queue", *long)[1].strip()
    refused = typed("train", "body.json")
    assert refused[0] == exits.FAILED and "--queue lets it wait in line" in refused[2]
    code, _, err = typed("wait", first, second, "--timeout", "0.1")
    assert code == exits.TIMED_OUT and f"`lamina cancel {first[:10]} {second[:10]}` ends" in err
    assert typed("cancel", "--all", "-q")[1].split() == [second, first]
    code, out, _ = typed("wait", first, second)
    ends = [line.split()[:2] for line in out.splitlines()[-2:]]
    assert (code, ends) == (exits.CANCELLED, [[first[:10], "cancelled"], [second[:10], "cancelled"]])
    assert typed("cancel", first)[0] == exits.FAILED
    assert f"{first[:10]}  goes on after epoch" in typed("resume", first)[1]
    assert typed("cancel", first)[0] == exits.OK and typed("follow", first)[0] == exits.CANCELLED


def test_a_run_is_edited_promoted_and_stays_when_others_are_deleted(typed, run, monkeypatch):
    assert (
        typed("edit", run.short, "--add-tag", "best", "--name", "renamed")[1] == f"{run.short}  renamed  [kept, best]\n"
    )
    assert typed("edit", run.short, "--remove-tag", "best", "--notes", "")[0] == exits.OK
    assert "x\N{REPLACEMENT CHARACTER}[31m" in typed("edit", run.short, "--name", "x\x1b[31m")[1]  # no colour of others
    assert "has the weights of" in typed("promote", run.short, "--name", "good")[1]
    other = typed("train", "body.json", "-q", "--queue", "--tag", "kept", "--wait")[1].strip()
    code, out, err = typed("delete", "--tag", "kept", "--older-than", "30d")
    assert (code, out) == (exits.OK, "No run fits.\n")
    code, out, err = typed("delete", "--tag", "kept")
    assert code == exits.USAGE and other[:10] in out and f"{run.short} stays: it is promoted" in out
    assert "nothing was deleted" in err and "--yes" in err
    assert typed("delete", "--tag", "kept", "--keep-last", "1", "--yes")[1].count("stays") == 1
    assert json.loads(typed("delete", "--tag", "kept", "--yes", "--json")[1]) == {
        "deleted": [other],
        "skipped": [{"run_id": run.run_id, "reason": "is promoted: the model 'good' has its weights"}],
    }
    assert typed("delete", run.short, "--yes")[0] == exits.FAILED and typed("show", other)[0] == exits.NOT_FOUND


def test_open_prints_the_address_where_there_is_no_browser(typed, run, monkeypatch, url):
    opened = []
    monkeypatch.setattr("webbrowser.get", lambda: type("Browser", (), {"open": opened.append}))
    assert typed("open") == (exits.OK, f"{url}/\n", "") and opened == [f"{url}/"]
    assert typed("open", run.short)[1] == f"{url}/api/runs/{run.run_id}\n"


def test_shells_complete_runs_with_their_names_and_stay_silent_without_a_server(url, run, monkeypatch, capsys):
    def complete(*words, at=url):
        monkeypatch.setenv("LAMINA_URL", at)
        monkeypatch.setenv("_LAMINA_COMPLETE", "zsh_complete")
        monkeypatch.setenv("COMP_WORDS", " ".join(["lamina", *words]))
        monkeypatch.setenv("COMP_CWORD", str(len(words)))
        assert main() == exits.OK
        told = capsys.readouterr()
        assert told.err == ""
        return told.out

    said = complete("show", run.run_id[:4])
    assert f"plain\n{run.short}\n" in said and "(succeeded)" in said
    assert complete("show", "r_", at="http://127.0.0.1:1").strip() == ""
    assert "plain\n--older-than" in complete("delete", "--ol")
    assert "succeeded" in complete("runs", "--state", "suc")
    assert "digits" in complete("runs", "--dataset", "dig") and run.model_id[:10] in complete("runs", "--model", "m_")


def test_a_reader_that_stops_early_ends_a_command_quietly(url, run):
    command = f"{sys.executable} -m backend.cli show {run.short} --json | head -c 1"
    done = subprocess.run(
        ["bash", "-c", command], env={**os.environ, "LAMINA_URL": url}, capture_output=True, text=True, timeout=60
    )
    assert (done.stdout, done.stderr) == ("{", "")


@pytest.mark.slow
def test_waiting_outlives_a_server_that_is_killed_and_ctrl_c_leaves_the_run_alone(tmp_path):
    """With real processes: Ctrl-C ends the command alone; a killed server that comes back tells how the run ended."""
    settings = Settings(port=free_port(first=0), state_dir=tmp_path / "s", data_dir=tmp_path / "d")
    body = tmp_path / "body.json"
    body.write_text(json.dumps({**BODY, "hyperparams": {**BODY["hyperparams"], "epochs": 100_000}}))
    environ = {**os.environ, "LAMINA_URL": f"http://127.0.0.1:{settings.port}", "PYTHONUNBUFFERED": "1"}

    def begun(*words):
        command = [sys.executable, "-m", "backend.cli", *words]
        process = subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for line in process.stdout:
            if line.startswith("epoch"):
                return process
        raise AssertionError("it ended before the first epoch")

    with LocalServer(settings) as server:
        server.wait_until_healthy()
        process = begun("train", str(body), "--wait")
        process.send_signal(signal.SIGINT)
        told = process.communicate(timeout=20)[0]
        (run,) = server.client.runs()
        assert process.returncode == exits.INTERRUPTED and not run.ended
        assert f"{run.short} goes on." in told and f"`lamina cancel {run.short}` ends it" in told
        process = begun("wait", run.short)
        worker, *_ = psutil.Process(server.process.pid).children()
        for each in (psutil.Process(server.process.pid), worker):
            each.kill()
    with LocalServer(settings) as server:
        told = process.communicate(timeout=60)[0]
        assert process.returncode == exits.FAILED and "interrupted: the server" in told
        assert server.client.run(run).state == "failed"


@pytest.mark.parametrize("here", [True, False])
def test_a_network_is_inspected_here_or_by_a_server(typed, monkeypatch, tmp_path, here):
    if here:
        monkeypatch.delenv("LAMINA_URL")
    code, out, err = typed("inspect", "body.json")
    assert (code, err) == (exits.OK, "") and max(map(len, out.splitlines())) <= 80
    lines = out.splitlines()
    assert lines[2].split() == ["linear_0", "16", "12,560", "12.5", "k", "64", "bytes"]
    assert "parameters  12,730" in lines
    half = {**BODY, "architecture": {"layers": [{"type": "linear", "out": 4}, {"type": "linear"}]}}
    (tmp_path / "half.json").write_text(json.dumps(half))
    code, out, _ = typed("inspect", "half.json")
    assert code == exits.FAILED and "/architecture/layers/1/out: is required by linear" in out
    code, out, _ = typed("inspect", "half.json", "--json")
    assert code == exits.FAILED and [row["output_shape"] for row in json.loads(out)["layers"]] == [[4], None]
    assert typed("inspect")[0] == typed("inspect", "nowhere.json")[0] == exits.USAGE


def test_a_stored_model_is_inspected_by_the_server(typed, url, run):
    code, out, _ = typed("inspect", "--model", run.model_id, "--json")
    assert (code, json.loads(out)["totals"]["params"]) == (exits.OK, 12_730)
    assert typed("inspect", "--model", "m_nobody")[0] == exits.NOT_FOUND
    assert Client(url).inspect(BODY, hyperparams__batch_size=7).totals["batch"] == 7


def test_the_sheet_of_a_run_leaves_out_what_asks_for_nothing():
    sent = {
        "epochs": 3,
        "ema": None,
        "groups": [],
        "optimizer": {"type": "sgd", "lr": 0.1, "x": None},
        "shuffle": False,
    }
    assert words_of(said(sent)) == "epochs 3, optimizer.type sgd, optimizer.lr 0.1, shuffle false"
