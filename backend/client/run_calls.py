"""What a server does with runs."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, overload

from backend.client.answers import Inspected, Promoted, Run, Started, read
from backend.client.calls import AnyModel, AnyRun, Calls
from backend.client.comparisons import Comparison
from backend.client.download import Download, Progress, Saved
from backend.client.errors import Unavailable, Unreachable
from backend.client.overrides import Body, body_of, changed
from backend.client.stream import Event, Follower

EVENTS = re.compile(r"/api/runs/([^/]+)/events")
IN_ONE_STREAM = 200  # runs, at most
RESTART_PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0)  # seconds
ACTIVE = ("queued", "running")  # in the order in which they are cancelled: none of them starts meanwhile


class Kept:
    """The default of what is left as it is, where None says something."""


KEEP: Final = Kept()


class RunCalls(Calls):
    """Training, and what comes of it."""

    def train(
        self,
        body: Body,
        *,
        queue: bool | None = None,
        name: str | None = None,
        tags: Sequence[str] | None = None,
        notes: str | None = None,
        **overrides: Any,
    ) -> Started:
        """Starts a run. body: as `POST /api/train` takes it, or the path of a JSON file.

        overrides: single values by their path: `hyperparams__seed=3`, or `**{"architecture.layers[0].out": 32}`.
        Raises Invalid with every problem of the body, and Conflict if a run is active and `queue` is not set.
        """
        own = {"queue": queue, "name": name, "tags": None if tags is None else list(tags), "notes": notes}
        paths = {path.replace("__", "."): value for path, value in overrides.items()}
        sent = changed(body_of(body), paths | {key: value for key, value in own.items() if value is not None})
        return read(Started, self.post("/api/train", sent))

    def inspect(self, body: Body, **overrides: Any) -> Inspected:
        """What a run of the body would cost, without running it. body, overrides: as `train` takes them.

        A half-built network is told with its problems: `valid` says whether `train` accepts it.
        """
        paths = {path.replace("__", "."): value for path, value in overrides.items()}
        return read(Inspected, self.post("/api/inspect", changed(body_of(body), paths)))

    def runs(
        self,
        *,
        state: str | Sequence[str] | None = None,
        model: AnyModel | None = None,
        tag: str | Sequence[str] | None = None,
        name: str | None = None,
        dataset: str | None = None,
        device: str | None = None,
        created_after: str | None = None,
        created_before: str | None = None,
        sort: str | None = None,
        include: Sequence[str] = (),
        limit: int | None = None,
    ) -> Iterator[Run]:
        """Runs that fit all filters, newest first, fetched page by page as they are asked for.

        state: one of several. tag: each of several. name, device: a part of it. created_after, created_before: by ISO
        8601. sort: such as "best.val_loss" or "-test_accuracy", the highest first. include: long fields to have,
        "metrics", "sample_predictions", "architecture". limit: how many at most.
        """
        query = self._filters(state, model, tag, name, dataset, device, created_after, created_before, sort)
        return self._runs(limit, **query, include=",".join(include) or None)

    def runs_csv(
        self,
        *,
        state: str | Sequence[str] | None = None,
        model: AnyModel | None = None,
        tag: str | Sequence[str] | None = None,
        name: str | None = None,
        dataset: str | None = None,
        device: str | None = None,
        created_after: str | None = None,
        created_before: str | None = None,
        sort: str | None = None,
        limit: int | None = None,
    ) -> str:
        """The same as CSV: a row a run, with every hyperparameter, results, times, device and versions."""
        query = self._filters(state, model, tag, name, dataset, device, created_after, created_before, sort)
        return self.transport.send("GET", "/api/runs.csv", query={**query, "limit": limit}).content.decode()

    def _filters(
        self,
        state: str | Sequence[str] | None,
        model: AnyModel | None,
        tag: str | Sequence[str] | None,
        name: str | None,
        dataset: str | None,
        device: str | None,
        created_after: str | None,
        created_before: str | None,
        sort: str | None,
    ) -> dict[str, object]:
        """Filters as a query has them."""
        return {
            "state": listed(state),
            "model_id": None if model is None else self.model_id(model),
            "tag": listed(tag),
            "name": name,
            "dataset_type": dataset,
            "device": device,
            "created_after": created_after,
            "created_before": created_before,
            "sort": sort,
        }

    def run(self, run: AnyRun) -> Run:
        """A run with its metrics."""
        return read(Run, self.get(f"/api/runs/{self.run_id(run)}"))

    def update(
        self,
        run: AnyRun,
        *,
        name: str | None | Kept = KEEP,
        tags: Sequence[str] | None | Kept = KEEP,
        notes: str | None | Kept = KEEP,
    ) -> Run:
        """Changes the name, all of the tags or the notes of a run; None empties them."""
        given = {"name": name, "tags": tags, "notes": notes}
        body = {key: value for key, value in given.items() if not isinstance(value, Kept)}
        return read(Run, self.transport.json("PATCH", f"/api/runs/{self.run_id(run)}", body=body))

    def events(
        self,
        runs: AnyRun | Iterable[AnyRun],
        *,
        timeout: float | None = None,
        patience: float = 300.0,
        last_event_id: str = "",
    ) -> Iterator[Event]:
        """The events of a run, of several, or of "all": their history, then live, until the last of them has ended.

        Of "all": the history of the runs that wait or train, then whatever happens, without an end.
        A lost connection is made anew and misses nothing. Raises Unreachable if the server has not come back within
        `patience` seconds, and TimedOut after `timeout`. runs: an `events_url` of the server will do as well.
        """
        path, ids = self._stream(runs)
        query = {} if ids is None or len(ids) == 1 else {"runs": ",".join(sorted(ids))}
        return Follower(self.transport, path, query, ids, last_event_id, timeout, patience).events()

    def _stream(self, runs: AnyRun | Iterable[AnyRun]) -> tuple[str, set[str] | None]:
        """The path of the stream of these runs, and their ids; None for all runs, which never end."""
        if isinstance(runs, str) and runs == "all":
            return "/api/events?runs=all", None
        if isinstance(runs, str) and (named := EVENTS.fullmatch(runs)):
            return runs, {named[1]}
        ids = {self.run_id(run) for run in ([runs] if isinstance(runs, (str, Run, Started)) else runs)}
        return (f"/api/runs/{next(iter(ids))}/events" if len(ids) == 1 else "/api/events"), ids

    @overload  # a str is an id, never a list of letters
    def wait(  # type: ignore[overload-overlap]
        self, runs: AnyRun, *, timeout: float | None = None, on_event: Callable[[Event], object] | None = None
    ) -> Run: ...
    @overload
    def wait(
        self, runs: Iterable[AnyRun], *, timeout: float | None = None, on_event: Callable[[Event], object] | None = None
    ) -> list[Run]: ...
    def wait(
        self,
        runs: AnyRun | Iterable[AnyRun],
        *,
        timeout: float | None = None,
        on_event: Callable[[Event], object] | None = None,
    ) -> Run | list[Run]:
        """A run once it has ended, or several once all of them have; how they ended is their `state`.

        Raises TimedOut after `timeout` seconds; the runs go on. on_event: called with every event on the way.
        """
        if isinstance(runs, (str, Run, Started)):
            return self._waited([runs], timeout, on_event)[0]
        return self._waited(runs, timeout, on_event)

    def _waited(
        self, runs: Iterable[AnyRun], timeout: float | None, on_event: Callable[[Event], object] | None
    ) -> list[Run]:
        ids = [self.run_id(run) for run in runs]
        began = time.monotonic()
        for start in range(0, len(ids), IN_ONE_STREAM):
            left = None if timeout is None else max(0.0, timeout - (time.monotonic() - began))
            for event in self.events(ids[start : start + IN_ONE_STREAM], timeout=left):
                if on_event:
                    on_event(event)
        return [self._recorded(each) for each in ids]

    def _recorded(self, run_id: str) -> Run:
        """A run, as soon as there is a server: it may be restarting just now."""
        for pause in RESTART_PAUSES:
            try:
                return self.run(run_id)
            except (Unreachable, Unavailable):
                time.sleep(pause)
        return self.run(run_id)

    def cancel(self, run: AnyRun) -> None:
        """Cancels an active run; it has ended when `wait` says so. Raises Conflict where it has ended already."""
        self.post(f"/api/runs/{self.run_id(run)}/cancel")

    def cancel_all(self) -> list[Run]:
        """Cancels every active run, those that wait first; those that were cancelled."""
        found = [run for state in ACTIVE for run in list(self.runs(state=state))]
        for run in found:
            self.cancel(run)
        return found

    def resume(self, run: AnyRun, *, queue: bool | None = None) -> Started:
        """Goes on with a run that was interrupted or cancelled, after its last whole epoch."""
        body = None if queue is None else {"queue": queue}
        return read(Started, self.post(f"/api/runs/{self.run_id(run)}/resume", body))

    def promote(self, run: AnyRun, *, name: str | None = None) -> Promoted:
        """Makes the weights of a succeeded run those of its model; `name`: the model's new one."""
        body = {"run_id": self.run_id(run)} | ({"name": name} if name is not None else {})
        return read(Promoted, self.post("/api/models/save", body))

    def delete(self, run: AnyRun, *, with_model: bool = False) -> None:
        """Deletes a run and its files. with_model: its model too, if it was made for it and never touched since.

        Raises Conflict while the run is active, or a model is promoted from it.
        """
        query = {"with_model": "true" if with_model else None}
        self.transport.json("DELETE", f"/api/runs/{self.run_id(run)}", query=query)

    def compare(self, runs: Iterable[AnyRun]) -> Comparison:
        """What runs have in common and in which they differ."""
        return read(Comparison, self.get("/api/compare", runs=",".join(self.run_id(run) for run in runs)))

    def compare_csv(self, runs: Iterable[AnyRun]) -> str:
        """The same as a table for spreadsheets."""
        query = {"runs": ",".join(self.run_id(run) for run in runs)}
        return self.transport.send("GET", "/api/compare.csv", query=query).text

    def curves_svg(self, run: AnyRun, **look: str | int | None) -> str:
        """Loss and accuracy of a run as an SVG. look: `x` ("epoch", "seconds"), `theme`, `width`, `height`."""
        place = f"/api/runs/{self.run_id(run)}/curves.svg"
        return self.transport.send("GET", place, query=look).content.decode()

    def compare_svg(self, runs: Iterable[AnyRun], *, metrics: Sequence[str] = (), **look: str | int | None) -> str:
        """Runs side by side as an SVG. metrics: such as "val_loss", a panel for each; look: as in `curves_svg`."""
        query = {"runs": ",".join(self.run_id(run) for run in runs), "metrics": ",".join(metrics) or None, **look}
        return self.transport.send("GET", "/api/compare.svg", query=query).content.decode()

    def weights(
        self,
        run: AnyRun,
        path: str | os.PathLike[str],
        *,
        format: str | None = None,
        layout: str | None = None,
        progress: Progress = lambda done, total: None,
    ) -> Saved:
        """Writes the weights of a run to a file. format: "msgpack", "npz", "safetensors"; layout: "torch".

        What broke off is resumed, and the whole verified. progress: called with the bytes here and in all.
        """
        place, query = f"/api/runs/{self.run_id(run)}/weights", {"format": format, "layout": layout}
        return Download(self.transport, place, Path(path), query, progress).fetch()


def listed(words: str | Sequence[str] | None) -> str | None:
    """Words as a query has them; None for none."""
    return words if words is None or isinstance(words, str) else ",".join(words) or None
