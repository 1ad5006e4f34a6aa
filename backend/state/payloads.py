"""What events of states say."""

from __future__ import annotations

from typing import Annotated, Literal, NotRequired

from typing_extensions import TypedDict

from backend.state.records import BenchmarkState, Json, RunState, Told
from nets.facts import StoppedBy, TargetReached


class StateEvent(TypedDict):
    """The data of `event: state`. The terminal one is the last of a run, unless the run is resumed."""

    run_id: str
    state: Annotated[
        RunState | Literal["interrupted"],
        Told("`interrupted` where an end has been superseded, since the run was resumed afterwards."),
    ]
    error: Annotated[str | None, Told("Of a failed run: why, in one sentence with the cure.")]
    test_accuracy: Annotated[float | None, Told("Of a succeeded run: the share of the test samples that it names.")]
    sample_predictions: Annotated[list[Json] | None, Told("Of a succeeded run: some test samples.")]
    worst: NotRequired[
        Annotated[
            list[Json], Told("With `hyperparams.metrics`: the mistakes of the test that the network is surest of.")
        ]
    ]
    stopped_by: NotRequired[
        Annotated[StoppedBy, Told("Of a succeeded run: what ended its training before the end of its last epoch.")]
    ]
    target_reached: NotRequired[
        Annotated[TargetReached, Told("Of a succeeded run: when it was first as good as its `target` asks for.")]
    ]
    queue_position: NotRequired[Annotated[int, Told("The place in the queue, from 1, while the run waits.")]]
    resumed: NotRequired[Annotated[Literal[True], Told("The run goes on after an earlier end.")]]
    superseded: NotRequired[Annotated[Literal[True], Told("The run was resumed: this is not its end.")]]
    was: NotRequired[Annotated[Literal["failed", "cancelled"], Told("Which state an end that was superseded had.")]]


class BenchmarkStateEvent(TypedDict):
    """The data of `event: state` of a benchmark. The terminal one is the last."""

    benchmark_id: str
    state: BenchmarkState
    error: Annotated[str | None, Told("Why it failed or was interrupted, in one sentence with the cure.")]
    queue_position: NotRequired[Annotated[int, Told("The place in the queue, from 1, while it waits.")]]


def benchmark_state(
    benchmark_id: str, state: BenchmarkState, *, error: str | None = None, place: int | None = None
) -> Json:
    """The data of a `state` event of a benchmark."""
    data: BenchmarkStateEvent = {"benchmark_id": benchmark_id, "state": state, "error": error}
    if place is not None:
        data["queue_position"] = place
    return dict(data)
