"""A benchmark: the order of its cells, what becomes of failures and of an end before its end, and real cells."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Generator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from backend.cli.top import main
from backend.commands.bodies import asked_body
from nets.benchmarks import bench as module
from nets.benchmarks.bench import Bench, Measured, parity
from nets.benchmarks.bodies import BadBody, read_bodies
from nets.benchmarks.cells import Record
from nets.benchmarks.estimates import interval, largest_difference, quantiles
from nets.benchmarks.machine import machine
from nets.benchmarks.measuring import finite
from nets.benchmarks.protocol import Spot, plan_of
from nets.benchmarks.results import RESULTS
from nets.benchmarks.tables import to_csv
from nets.benchmarks.worker import CellFailed, environ, measure
from nets.errors import SpecError
from nets.process.device_memory import PREALLOCATE
from nets.process.quiet import before
from tests.nets.benchmark_results import example
from tests.nets.fake_devices import CPU, H100, place

TINY = {
    "name": "tiny",
    "architecture": {"input_size": 784, "layers": [{"type": "linear", "out": 10}]},
    "hyperparams": {"dataset_type": "digits"},
}


def speed(job: dict[str, Any]) -> dict[str, Any]:
    return {
        "compile_seconds": 1.0,
        "first_step_seconds": 0.1,
        "samples_per_second": 1000.0 * job["batch_size"],
        "samples": 2000,
        "energy": {"joules": 4.0, "of": "package", "reason": None},
        "steps": [(0.01, 30), (0.02, 10)],
        "losses": [2.0, 1.0 if job["precision"] == "float32" else 1.01],
        "peak_memory": {"bytes": 10_000, "of": "process", "since": "run", "reason": None},
        "latencies": [0.001] * 99 + [0.1],
        "throughput": 5000.0,
        "answered": 360,
    }


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What would be measured. A batch of 13 fails."""
    asked: list[dict[str, Any]] = []

    def fake(job: dict[str, Any]) -> Generator[tuple[str, float], None, dict[str, Any]]:
        if job["kind"] != "peaks":
            asked.append(job)
        yield "training", 0.0
        if job["kind"] == "peaks":
            return {"flops": {"float32": 1e9}, "bandwidth": 1e9}
        if job["batch_size"] == 13:
            raise CellFailed("its process was killed by SIGKILL, most likely for want of memory")
        return {"seconds": 3.0, "epoch": 2, "best": 0.95} if job["kind"] == "target" else speed(job)

    monkeypatch.setattr(module, "measure", fake)
    monkeypatch.setattr(module, "before", partial(before, sleep=lambda seconds: None))
    return asked


def made(tmp_path: Path, **asked: Any) -> Bench:
    plan = plan_of(**asked)
    return Bench(
        read_bodies([TINY], tmp_path),
        ["cpu:0"],
        plan,
        data_dir=tmp_path,
        work_dir=tmp_path / "work",
        calibrations=tmp_path / "none",
    )


def test_repeats_go_round_all_cells_and_programs_are_cold_once(tmp_path: Path, jobs: list[dict[str, Any]]) -> None:
    bench = made(tmp_path, batch_sizes=[16, 64], repeats=3, target=0.9)
    events = list(bench.events())
    around = [(job["precision"], job["batch_size"]) for job in jobs]
    cells = [(precision, batch) for precision in ("float32", "bfloat16") for batch in (16, 64)]
    assert around == cells * 4  # the last time to the target
    assert [job["kind"] for job in jobs] == ["speed"] * 12 + ["target"] * 4
    folders = [job["programs"] for job in jobs]
    assert len(set(folders)) == 4 and folders[:4] == folders[4:8]
    assert not list((tmp_path / "work").iterdir())
    results = bench.results()
    assert RESULTS.validate_json(RESULTS.dump_json(results)) == results and results["complete"]
    cell = results["cells"][0]
    assert cell["samples_per_second"] == {"median": 16000.0, "low": 16000.0, "high": 16000.0, "values": [16000.0] * 3}
    assert cell["step_seconds"] == {"p5": 0.01, "p50": 0.01, "p95": 0.02, "steps": 120}
    assert cell["energy"]["joules_per_1000_samples"] == 2.0
    assert cell["target"] == {"accuracy": 0.9, "seconds": 3.0, "epoch": 2, "best": 0.95}
    assert cell["model_flops_per_second"] == 16000.0 * 4 * 7840  # forward, and the gradient of the weights
    assert [event.cell["repeats"] for event in events if isinstance(event, Measured)][:5] == [1, 1, 1, 1, 2]


def test_a_cell_that_fails_is_told_and_the_others_go_on(tmp_path: Path, jobs: list[dict[str, Any]]) -> None:
    bench = made(tmp_path, batch_sizes=[13, 64], precisions=["float32"], repeats=2)
    list(bench.events())
    failed, whole = bench.results()["cells"]
    assert "SIGKILL" in (failed["error"] or "") and failed["samples_per_second"] is None
    assert whole["repeats"] == 2 and not bench.results()["complete"]
    assert [job["batch_size"] for job in jobs] == [13, 64, 64]
    assert any("SIGKILL" in warning for warning in bench.results()["warnings"])


def test_what_is_measured_before_an_end_is_kept(tmp_path: Path, jobs: list[dict[str, Any]]) -> None:
    bench = made(tmp_path, batch_sizes=[16, 64], repeats=2)
    events = bench.events()
    next(event for event in events if isinstance(event, Measured))
    events.close()
    results = bench.results()
    assert len(results["cells"]) == 1 and not results["complete"]
    assert any("3 of 4 cells were not measured" in warning for warning in results["warnings"])
    assert not list((tmp_path / "work").iterdir())


def test_an_interrupt_of_the_function_returns_what_was_measured(tmp_path: Path, jobs: list[dict[str, Any]]) -> None:
    def stop(event: object) -> None:
        if isinstance(event, Measured):
            raise KeyboardInterrupt

    results = module.bench(
        [TINY], devices=["cpu"], repeats=2, data_dir=tmp_path, calibrations=tmp_path / "c", hear=stop
    )
    assert len(jobs) == 1 and len(results["cells"]) == 1 and not results["complete"]


def test_a_cell_tells_what_its_device_rounds_to(tmp_path: Path, jobs: list[dict[str, Any]]) -> None:
    bench = made(tmp_path)
    on_gpu = {**bench._device("cpu:0"), "platform": "gpu"}
    cell = Record(Spot("tiny", "gpu:0", "bfloat16", 64)).cell("m", bench.bodies[0], on_gpu, None)  # type: ignore[arg-type]
    assert cell["effective_precision"] == "bfloat16, also of what convolutions give"


def test_a_cell_takes_of_a_gpu_what_it_needs_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(PREALLOCATE, raising=False)
    assert environ()[PREALLOCATE] == "false"
    place(monkeypatch, H100, CPU)
    assert machine("one", devices=[H100])["environment"]["flags"][PREALLOCATE] == "false"  # type: ignore[list-item]
    monkeypatch.setenv(PREALLOCATE, "true")
    assert environ()[PREALLOCATE] == "true"


def test_training_that_diverges_is_told_with_its_step() -> None:
    assert finite([2.0, 1.0]) == [2.0, 1.0]
    with pytest.raises(ValueError, match="the loss of step 2 is nan: training diverged; lower learning_rate"):
        finite([2.0, float("nan")])


def test_losses_of_precisions_are_compared_with_float32(tmp_path: Path, jobs: list[dict[str, Any]]) -> None:
    bench = made(tmp_path, repeats=1)
    list(bench.events())
    (found,) = parity(bench.results()["cells"])
    assert found["largest_difference"] == pytest.approx(0.01) and found["within"] and found["tolerance"] == 0.05


def test_bodies_come_by_name_by_file_and_once(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_text(json.dumps({key: value for key, value in TINY.items() if key != "name"}))
    bodies = read_bodies(["lenet", asked_body(str(path)), "lenet"], tmp_path)
    assert [body.name for body in bodies] == ["lenet", "mine"]
    assert bodies[0].data == "digits"  # of the shape of MNIST, which is not at hand
    assert read_bodies(["colours_dense"], tmp_path)[0].data == "synthetic"
    with pytest.raises(BadBody, match="lenett.*choose from reference, mlp"):
        read_bodies(["lenett"], tmp_path)
    with pytest.raises(BadBody, match="only one"):
        read_bodies([TINY, {**TINY, "hyperparams": {"dataset_type": "digits", "seed": 1}}], tmp_path)
    with pytest.raises(SpecError, match="10 outputs"):
        read_bodies([{**TINY, "architecture": {"input_size": 784, "layers": [{"type": "linear", "out": 9}]}}], tmp_path)


def test_medians_have_intervals_and_quantiles_weights() -> None:
    found = interval([90.0, 100.0, 110.0, 101.0, 99.0])
    assert found["median"] == 100.0 and 90 <= found["low"] < 100 < found["high"] <= 110
    assert quantiles([]) is None
    assert quantiles([(1.0, 90), (5.0, 10)]) == {"p5": 1.0, "p50": 1.0, "p95": 5.0, "steps": 100}
    assert largest_difference([2.0, 1.0], [2.0, 1.5]) == 0.5


def test_a_table_has_a_line_for_each_cell() -> None:
    results = example(platforms=("cpu", "gpu"))
    results["cells"][0]["target"] = None
    head, *lines = to_csv(results).splitlines()
    assert len(lines) == len(results["cells"])
    assert {"samples_per_second.median", "target.seconds", "device_kind", "step_seconds.p95"} <= set(head.split(","))
    assert "values" not in head and "target" not in head.split(",")


def test_a_cell_without_a_repeat_has_no_numbers() -> None:
    results = example()
    bodies = read_bodies([TINY], Path("nowhere"))
    spot = module.Spot("tiny", "cpu:0", "float32", 64)
    cell = Record(spot, error="no").cell("one", bodies[0], results["devices"][0], None)
    assert cell["samples_per_second"] is cell["inference"] is cell["losses"] is None and cell["error"] == "no"


@pytest.mark.slow
def test_a_process_measures_a_cell_and_another_one_the_same_losses(tmp_path: Path) -> None:
    bench = made(tmp_path, precisions=["float32"], repeats=2, target=0.5)
    list(bench.events())
    (cell,) = bench.results()["cells"]
    assert cell["error"] is None and cell["losses"] is not None and cell["losses"]["identical"]
    assert len(cell["losses"]["curve"]) == 20 and cell["losses"]["final"] < cell["losses"]["curve"][0]
    cold, warm = cell["compile_seconds"]["cold"], cell["compile_seconds"]["warm"]
    assert cold is not None and warm is not None and warm < cold
    assert cell["target"] is not None and cell["target"]["epoch"] is not None


@pytest.mark.slow
def test_a_process_ends_with_whoever_asked_and_tells_what_it_cannot_do(tmp_path: Path) -> None:
    bench = made(tmp_path, repeats=1)
    job = bench._job(module.Spot("tiny", "cpu:0", "float32", 60_000), "speed", tmp_path / "programs")
    with pytest.raises(CellFailed, match="batch_size must be at most"):
        list(measure(job))
    asking = (
        "import json, sys\nfrom nets.benchmarks.worker import measure\n"
        "for phase in measure(json.loads(sys.argv[1])):\n    print(phase[0], flush=True)\n"
    )
    long = json.dumps({**job, "batch_size": 64, "measured_seconds": 60.0})
    with subprocess.Popen([sys.executable, "-c", asking, long], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert any("training" in line for line in process.stdout)
        (cell,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        process.kill()
    for _ in range(300):
        if not Path(f"/proc/{cell}").exists():
            break
        subprocess.run(["sleep", "0.1"], check=True)
    assert not Path(f"/proc/{cell}").exists()


@pytest.fixture
def interruptible() -> Generator[None]:
    """Ctrl-C reaches what a test starts, even where the tests run in the background of a shell, which ignores it."""
    before_it = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before_it)


@pytest.mark.slow
@pytest.mark.usefixtures("interruptible")
def test_the_command_writes_its_files_and_keeps_what_ctrl_c_leaves(tmp_path: Path) -> None:
    (tmp_path / "tiny.json").write_text(json.dumps(TINY))
    place = ["--state-dir", str(tmp_path / "s"), "--data-dir", str(tmp_path / "d"), "--out", str(tmp_path / "out")]
    command = [sys.executable, "-m", "backend.cli", "bench", "tiny.json", "--precisions", "float32", *place]
    whole = subprocess.run([*command, "--repeats", "1"], cwd=tmp_path, env=environ(), capture_output=True, text=True)
    assert whole.returncode == 0, whole.stderr
    assert "tiny" in whole.stdout and "repeat 1" in whole.stderr
    results = RESULTS.validate_json((tmp_path / "out" / "results.json").read_bytes())
    assert results["complete"] and len((tmp_path / "out" / "results.csv").read_text().splitlines()) == 2
    long = [*command, "--repeats", "100"]
    with subprocess.Popen(long, cwd=tmp_path, env=environ(), stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert any("repeat 1" in line for line in process.stderr)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=120)
    assert process.returncode == 130
    kept = RESULTS.validate_json((tmp_path / "out" / "results.json").read_bytes())
    assert not kept["complete"] and kept["cells"][0]["repeats"] >= 1


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["lenett"], "'lenett' is no network here"),
        (["--devices", "gpu:7", "lenet"], "--devices must be"),
        (["--batch-sizes", "0", "lenet"], "'--batch-sizes'"),
        (["--precisions", "float16", "lenet"], "'--precisions'"),
        (["none.json"], "none.json: No such file"),
        (["lenet", "--out", "/proc/results"], "--out: /proc/results cannot be written to"),
    ],
)
def test_what_cannot_be_measured_is_refused_before_anything_is(
    words: list[str], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["bench", *words, "--state-dir", str(tmp_path / "s")]) == 2
    assert told in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
