"""The Python client: streams as they are cut, failures as exceptions, ids, pictures; and a real server, as users do."""

import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from backend.client import (
    Ambiguous,
    Client,
    Conflict,
    Event,
    Faulty,
    Invalid,
    LaminaError,
    NotFound,
    TimedOut,
    Unauthorized,
    Unreachable,
    Unusable,
)
from backend.client.images import pixels_of
from backend.client.overrides import changed, value_of
from backend.client.stream import Reader
from backend.client.transport import Transport, base_of
from tests.backend.conftest import BODY, offline_app, parts, serving

HOUSE = Path(__file__).parents[2]
TOKEN = "a-token-of-the-test"


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    app = offline_app(tmp_path_factory.mktemp("client"), token=TOKEN)
    with serving(app) as url:
        yield Client(url, token=TOKEN)
    parts(app).close()


@pytest.fixture(scope="module")
def run(client):
    """A run that has succeeded."""
    started = client.train(BODY, name="the first", tags=["plain"], hyperparams__seed=3)
    assert started.hyperparams["seed"] == 3
    heard = []
    run = client.wait(started, on_event=heard.append)
    assert [event.name for event in heard if event.id].count("metric") == 2 and heard[-1].ends
    return run


def test_events_are_read_by_the_standard_however_they_are_cut():
    stream = b'retry: 3000\n\n: keep-alive\n\nid: 7\r\nevent: state\r\ndata: {"a":\r\ndata: 1}\r\n\r\nevent:progress\ndata:{}\n\ndata: 1'
    for size in (1, 2, 3, len(stream)):
        reader = Reader()
        pieces = [stream[start : start + size] for start in range(0, len(stream), size)]
        assert [event for piece in pieces for event in reader.feed(piece)] == [
            Event("state", {"a": 1}, "7"),
            Event("progress", {}),
        ]


def test_a_run_has_all_that_the_server_tells(client, run):
    assert (run.name, run.tags, run.state, run.succeeded, len(run.metrics)) == (
        "the first",
        ["plain"],
        "succeeded",
        True,
        2,
    )
    assert run.best is not None and run.best.val_loss == min(metric.val_loss for metric in run.metrics)
    assert run.json["versions"] and client.health().status == "ok"
    assert [each.run_id for each in client.runs(model=run.model_id, limit=1)] == [run.run_id]
    assert client.model(run.model_id).runs[0].json["run_id"] == run.run_id
    assert "digits" in [each.name for each in client.datasets()] and "conv2d" in [each.type for each in client.layers()]
    assert "hyperparams" in client.schema()["properties"]
    example = client.example("keras-mnist-mlp")
    assert example in client.examples() and example.body["hyperparams"]["dataset_type"] == "mnist"


def test_ids_may_be_shortened(client, run):
    assert client.run(run.run_id[:8]).run_id == client.run(run.run_id[2:9]).run_id == run.run_id
    assert client.model(run.model_id[:8]).model_id == client.model(run.model_id[2:9]).model_id == run.model_id
    assert [each["run_id"] for each in client.get("/api/runs", id=run.run_id[:9])["runs"]] == [run.run_id]
    other = client.wait(client.train(BODY))
    with pytest.raises(Ambiguous, match=r"2 runs begin with 'r_'; give more of the id:\n  r_"):
        client.run("r_")
    with pytest.raises(NotFound, match="no run whose id begins with 'zz'"):
        client.run("zz")
    client.delete(other, with_model=True)
    with pytest.raises(NotFound):
        client.run(other)


def test_a_name_does_where_no_id_begins_so(client, run):
    named = [client.wait(client.train(BODY, name=name)) for name in ("a fox", "a fox, again", "twice", "twice")]
    assert client.run("a fox").run_id == named[0].run_id
    assert client.model(named[1].name).model_id == named[1].model_id
    assert [each.run_id for each in client.wait(["a fox", named[1].short])] == [each.run_id for each in named[:2]]
    with pytest.raises(Ambiguous, match="2 runs are called 'twice'; give the id:\n  r_") as several:
        client.delete("twice")
    assert {ident for ident, _ in several.value.candidates} == {each.run_id for each in named[2:]}
    for nobody in ("fox", "A FOX", "a fox" * 99, "a\nfox"):
        with pytest.raises(NotFound, match="whose name it is"):
            client.run(nobody)
    with pytest.raises(Unusable, match="neither the id nor the name"):
        client.run(" ")
    client.update(named[2], name=run.short)
    assert client.run(run.short).run_id == run.run_id, "ids go before names"
    for each in named:
        client.delete(each, with_model=True)


def test_refusals_carry_their_problems(client, run):
    with pytest.raises(Invalid) as refused:
        client.train(BODY, **{"hyperparams.epochs": 0, "architecture.layers[0].out": -1})
    assert {each.pointer for each in refused.value.problems} == {"/hyperparams/epochs", "/architecture/layers/0/out"}
    assert refused.value.status == 400 and refused.value.json["error"] == refused.value.message
    with pytest.raises(Conflict):
        client.cancel(run)
    with pytest.raises(Unauthorized, match="token"):
        Client(client.url, token="").run(run)


def test_a_run_is_waited_for_no_longer_than_told_and_cancelled(client, monkeypatch):
    started = client.train(BODY, hyperparams__epochs=100_000)
    waiting = client.train(BODY, queue=True)
    with pytest.raises(TimedOut):
        client.wait(started, timeout=0.2)
    assert {each.run_id for each in client.cancel_all()} == {started.run_id, waiting.run_id}
    heard = []
    assert [each.state for each in client.wait([started, waiting], on_event=heard.append)] == ["cancelled", "cancelled"]
    assert {event.run_id for event in heard if event.ends} == {started.run_id, waiting.run_id}
    monkeypatch.setattr("backend.client.run_calls.IN_ONE_STREAM", 1)  # more than one stream takes
    assert [each.run_id for each in client.wait([waiting, started], timeout=20)] == [waiting.run_id, started.run_id]
    assert client.resume(started).run_id == started.run_id
    live = client.events("all")
    assert next(event for event in live if event.name == "state").run_id == started.run_id
    live.close()
    client.cancel(started)
    assert client.wait(started).state == "cancelled"


def test_a_stream_goes_on_where_it_broke_off(client, run):
    events = [event for event in client.events(run) if event.id]
    assert [int(event.id) for event in events] == list(range(1, len(events) + 1))
    assert [event for event in client.events(run, last_event_id=events[1].id) if event.id] == events[2:]
    assert list(client.events(run, last_event_id=events[-1].id)) == []


def test_a_picture_is_predicted_as_its_pixels_are(client, run, tmp_path):
    grid = np.array(run.sample_predictions[0]["grid"], np.uint8)
    expected = client.infer(run, grid)
    assert expected.label == run.sample_predictions[0]["prediction"] and 0 < expected.confidence <= 1
    Image.fromarray(255 - grid).save(tmp_path / "ink.png")
    (tmp_path / "ink.json").write_text(json.dumps({"pixels": (grid / 255).tolist()}))
    said = client.infer(run, tmp_path / "ink.png")
    assert said.notes == ["inverted: its ink is dark on light"]
    assert said.probabilities == pytest.approx(expected.probabilities, abs=1e-3)
    assert client.infer(image=str(tmp_path / "ink.json"), model=run.model_id).label == expected.label
    many = client.infer_batch(run, [grid, tmp_path / "ink.png"])
    assert [each.label for each in many] == [expected.label] * 2


def test_a_run_is_promoted_renamed_and_kept(client, run):
    assert client.promote(run, name="good").name == "good"
    assert client.update(run, tags=["kept"], notes="for the paper").tags == ["kept"]
    assert client.run(run).json["notes"] == "for the paper"
    with pytest.raises(Conflict):
        client.delete(run)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "1", "I;16", "RGB"])
def test_pictures_of_every_kind_become_light_ink_on_dark_ground(mode):
    ink = Image.new("L", (60, 90), 255)
    ink.paste(0, (20, 30, 40, 60))
    if mode in ("RGBA", "LA"):  # nothing but ink, on a transparent ground of black
        picture = Image.merge(
            mode, [Image.new("L", ink.size)] * (len(mode) - 1) + [ink.point(lambda value: 255 - value)]
        )
    elif mode == "I;16":
        picture = Image.fromarray(np.asarray(ink, np.uint16) * 257)
    else:
        picture = ink.convert(mode)
    pixels, notes = pixels_of(picture, (28, 28, 1))
    assert notes == ["inverted: its ink is dark on light", "scaled from 60 x 90 to 28 x 28"]
    assert np.shape(pixels) == (28, 28) and pixels[14][14] > 0.9 and pixels[0][0] == pixels[14][0] == 0
    coloured, told = pixels_of(picture, (32, 32, 3))
    assert (
        np.shape(coloured) == (32, 32, 3) and told == ["scaled from 60 x 90 to 32 x 32"] and coloured[16][16][0] < 0.1
    )


def test_single_values_of_a_body_are_changed_by_their_paths():
    body = {"architecture": {"layers": [{"out": 1}, {"out": 2}]}}
    new = changed(
        body, {"hyperparams.optimizer.lr": 0.1, "architecture.layers[1].out": 5, "architecture.layers.-2.out": 4}
    )
    assert new == {"architecture": {"layers": [{"out": 4}, {"out": 5}]}, "hyperparams": {"optimizer": {"lr": 0.1}}}
    assert body["architecture"]["layers"][0] == {"out": 1}
    for path in ("a..b", "", "architecture.layers[2].out", "architecture.layers[0].out.x"):
        with pytest.raises(Unusable):
            changed(body, {path: 1})
    assert [value_of(text) for text in ("3", "1e-3", "true", "null", "adam", "NaN", "[1]")] == [
        3,
        1e-3,
        True,
        None,
        "adam",
        "NaN",
        [1],
    ]


def test_addresses():
    assert (
        base_of("localhost:8080/") == "http://localhost:8080"
        and base_of("https://lab.example/x/api/") == "https://lab.example/x"
    )
    for bad in ("", "ftp://x", "http://", "http://a b", "http://x:99999", "http://x?y"):
        with pytest.raises(Unusable, match="no address of a server"):
            base_of(bad)


def test_a_proxy_is_for_other_machines(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    assert (
        not Transport("http://127.0.0.1:8080").session.trust_env and not Transport("http://localhost").session.trust_env
    )
    with pytest.raises(Unreachable, match="no answer from http://lab.invalid: the proxy of the environment: .*refused"):
        Client("http://lab.invalid").health()


def test_no_server_is_told_at_once():
    with pytest.raises(Unreachable, match=r"no answer from http://127\.0\.0\.1:1: .*refused") as problem:
        Client("http://127.0.0.1:1").events("r_" + 32 * "0").__next__()
    assert problem.value.status == 0 and isinstance(problem.value, LaminaError)


class Odd(BaseHTTPRequestHandler):
    """What else may stand at an address: a page, a redirect, a server that breaks off or forgets."""

    def do_GET(self):
        prefix, _, rest = self.path.partition("/api/")
        answers = {
            "/page": (200, {}, b"<h1>Welcome</h1>"),
            "/broken": (200, {"Content-Length": "100"}, b'{"half": '),
            "/gone": (404, {}, b"<h1>Not found</h1>"),
            "/base": (200, {}, json.dumps({"status": "ok", "path": self.path, "new": [1]}).encode()),
        }
        status, headers, body = answers[prefix]
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        self.send_response(301)
        self.send_header("Location", "https://lab.example" + self.path)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def odd():
    with ThreadingHTTPServer(("127.0.0.1", 0), Odd) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_what_is_no_server_of_ours_is_told(odd, monkeypatch):
    monkeypatch.setattr("backend.client.transport.PAUSES", (0.0,))
    with pytest.raises(Faulty, match="instead of JSON; is this the address"):
        Client(f"{odd}/page").health()
    with pytest.raises(NotFound, match="not as a Lamina server does"):
        Client(f"{odd}/gone").health()
    with pytest.raises(Unreachable, match="no answer from"):
        Client(f"{odd}/broken").health()
    with pytest.raises(Faulty, match="with no event stream"):
        next(Client(f"{odd}/page").events("r_" + 32 * "0"))
    with pytest.raises(Faulty, match="has moved to https://lab.example/base/api/train"):
        Client(f"{odd}/base").train(BODY)
    health = Client(f"{odd}/base/").health()
    assert health.json == {"status": "ok", "path": "/base/api/health", "new": [1]}


class Breaking(BaseHTTPRequestHandler):
    """Sends half of what is asked for, then nothing; only every other answer is whole."""

    whole = bytes(range(256)) * 2000
    asked: list[str | None] = []

    def do_GET(self):
        start = self.headers.get("Range")
        self.asked.append(start)
        tag = f'"{hashlib.sha256(self.whole).hexdigest()}"'
        fits = start and self.headers.get("If-Range") == tag
        body = self.whole[int(start[6:-1]) :] if fits else self.whole
        self.send_response(206 if fits else 200)
        self.send_header("ETag", tag)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body if len(self.asked) % 2 == 0 else body[: len(body) // 2])

    def log_message(self, *_):
        pass


def test_a_download_that_breaks_off_is_completed_and_verified(tmp_path, monkeypatch):
    monkeypatch.setattr("backend.client.download.time.sleep", lambda seconds: None)
    sha256 = hashlib.sha256(Breaking.whole).hexdigest()
    with ThreadingHTTPServer(("127.0.0.1", 0), Breaking) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        client, seen = Client(f"http://127.0.0.1:{server.server_port}"), []
        run_id = "r_" + 32 * "1"
        saved = client.weights(run_id, tmp_path / "w", progress=lambda done, total: seen.append((done, total)))
        assert saved.path.read_bytes() == Breaking.whole and (saved.size, saved.sha256) == (512_000, sha256)
        assert Breaking.asked[0] is None and 200_000 < int(Breaking.asked[1][6:-1]) <= 256_000
        assert seen[-1] == (512_000, 512_000) and seen == sorted(seen)
        # What an earlier call has left behind is completed, unless it was of another file.
        (tmp_path / f".v.{sha256}.part").write_bytes(Breaking.whole[:500_000])
        (tmp_path / f".u.{'0' * 63}1.part").write_bytes(b"another")
        assert client.weights(run_id, tmp_path / "v").size == client.weights(run_id, tmp_path / "u").size == 512_000
        assert Breaking.asked[2] == "bytes=500000-" and "bytes=7-" in Breaking.asked
        server.shutdown()
        thread.join()
    assert sorted(os.listdir(tmp_path)) == ["u", "v", "w"]


def test_a_stream_that_breaks_off_is_taken_up_again_after_its_last_event():
    """Twice: in the middle of an event, and while nothing listens. No event comes twice."""
    run_id, asked = "r_" + 32 * "1", []
    frames = [f'id: {n}\nevent: metric\ndata: {{"run_id": "{run_id}", "epoch": {n}}}\n\n' for n in (1, 2, 3)]
    end = f'id: 4\nevent: state\ndata: {{"run_id": "{run_id}", "state": "succeeded"}}\n\n'
    answers = [frames[0] + frames[1][:20], frames[1] + frames[2], end]
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]

    def serve():
        with listener:
            for answer in answers:
                connection, _ = listener.accept()
                with connection:
                    head = connection.recv(65536).decode()
                    asked.append(
                        next(
                            (line.split(": ")[1] for line in head.splitlines() if line.startswith("Last-Event-ID")),
                            None,
                        )
                    )
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n" + answer.encode())

    thread = threading.Thread(target=serve)
    thread.start()
    events = list(Client(f"http://127.0.0.1:{port}").events(run_id))
    thread.join()
    assert [event.id for event in events] == ["1", "2", "3", "4"]
    assert asked == [None, "1", "3"]


USER = """
from pathlib import Path
from backend.client import Client, Invalid, LaminaError, Run

client = Client("https://lab.example/lamina", token="secret", timeout=5)
started = client.train({"model_id": "m_1"}, queue=True, tags=["a"], hyperparams__seed=3)
one: Run = client.wait(started, timeout=3.0, on_event=lambda event: print(event.name, event.run_id))
many: list[Run] = client.wait([started.run_id, one])
best: float = min(run.best.val_loss for run in client.runs(tag=["a", "b"], state="succeeded") if run.best)
names: list[str] = [run.name for run in many if run.metrics[-1].val_loss > best]
curve: dict[int, list[float | None]] = client.compare(many).metrics["val_loss"]
digits: str = client.weights(one, Path("w.npz"), format="npz").sha256
try:
    print(client.infer(one, [[0.0] * 28] * 28).confidence + best)
except Invalid as refused:
    print([problem.pointer for problem in refused.problems], refused.status)
"""


@pytest.mark.slow
def test_a_program_with_the_client_passes_a_strict_type_checker(tmp_path):
    """`py.typed` tells type checkers that the package has types, once it is installed."""
    shutil.copytree(HOUSE / "backend", tmp_path / "site" / "backend", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "user.py").write_text(USER)
    assert (HOUSE / "backend" / "py.typed").exists()
    (tmp_path / "mypy.ini").write_text("[mypy]\n")
    command = [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", "user.py"]
    environ = {**os.environ, "MYPYPATH": str(tmp_path / "site")}
    done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout
    wrong = USER.replace("queue=True", 'queue="yes"').replace("one: Run", "one: str")
    (tmp_path / "user.py").write_text(wrong)
    done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=300)
    assert done.stdout.count("error:") >= 2, done.stdout
