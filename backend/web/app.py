"""The application: a table of contents."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

from flask import Flask, Response, g, request
from flask.json.provider import DefaultJSONProvider

from backend import errors
from backend.actions.health import Writing
from backend.actions.infer import Predictors
from backend.actions.launch import DefaultDataset, warm_newest
from backend.config import Settings
from backend.events.capacity import Places
from backend.events.delivery import Delivery
from backend.events.log import EventLog
from backend.server.refusals import known, without_secrets
from backend.services import Services
from backend.state.attempts import Attempts
from backend.state.checkpoints import Checkpoints
from backend.state.deaths import Deaths
from backend.state.files import PROGRAMS_FOLDER
from backend.state.store import STORE_FILE, Store
from backend.telemetry import Telemetry
from backend.training.job import without_paths
from backend.training.limits import Limits
from backend.training.runs import Runs
from backend.training.warmer import Warmer
from backend.web import access, body, cors, overload, paths
from backend.web.api import catalog, infer, models, monitoring, runs, training
from nets.process.code_cache import Untrusted
from nets.process.device import keep_compiled_programs, prepare_process

logger = logging.getLogger("lamina.http")


def create_app(settings: Settings, *, deaths: Deaths | None = None) -> Flask:
    """A running server behind a WSGI application: `app.extensions["lamina"].close()` ends it.

    `deaths`: of servers that this one replaces.
    """
    app = Flask("lamina", static_folder=None)
    app.json = StrictJson(app)
    app.url_map.merge_slashes = False  # an empty part may be an id that is missing
    app.wsgi_app = paths.Tidy(app.wsgi_app)  # type: ignore[method-assign]
    app.config["MAX_BODY_BYTES"] = settings.max_body_mb << 20
    app.extensions["lamina"] = services = start_services(settings, deaths or Deaths(settings.state_dir))
    services.telemetry.serve(services)
    warm_newest(services)
    app.before_request(start_clock)
    app.before_request(overload.check)
    app.before_request(access.check)
    app.before_request(cors.answer_preflight)
    app.before_request(body.check_query)
    app.before_request(body.read_body)  # whoever may not ask is answered before
    app.after_request(log_request)
    app.after_request(services.telemetry.count_request)
    app.after_request(access.add_headers)
    app.after_request(cors.name_methods)
    for module in (models, training, runs, infer, catalog):
        app.register_blueprint(module.bp, url_prefix="/api")
    app.register_blueprint(monitoring.bp)
    errors.register(app)
    cors.register(app, settings)
    return app


def start_services(settings: Settings, deaths: Deaths) -> Services:
    """The parts of the server, with the training thread running."""
    state_dir = settings.state_dir
    prepare_process()
    store = Store(state_dir / STORE_FILE)
    warnings = keep_programs(state_dir / PROGRAMS_FOLDER)
    delivery, telemetry = Delivery(), Telemetry()
    try:
        store.verify()
        store.keep_reserve()
        log, checkpoints = EventLog(store, wake=delivery.wake, told=telemetry.hear), Checkpoints(state_dir)
        attempts = Attempts(state_dir)
        warmer = Warmer(attempts)
        limits = Limits(settings.max_memory_gb, settings.max_compile_seconds, settings.max_queue)
        runs = Runs(store, log, checkpoints, data_dir=settings.data_dir, warmer=warmer, limits=limits)
        runs.start()
        store.moved_to(checkpoints.root.name)
    except BaseException:
        delivery.close()
        store.close()
        raise
    warmer.start()
    delivery.start(training=lambda: runs.active() is not None)
    return Services(
        settings=settings,
        deaths=deaths,
        store=store,
        log=log,
        delivery=delivery,
        telemetry=telemetry,
        checkpoints=checkpoints,
        runs=runs,
        attempts=attempts,
        warmer=warmer,
        predictors=Predictors(checkpoints),
        default_dataset=DefaultDataset(settings.data_dir),
        limits=limits,
        streams=Places(settings.max_streams),
        writing=Writing(store, state_dir),
        warnings=warnings,
    )


def keep_programs(folder: Path) -> list[str]:
    """Keep compiled programs in `folder`, or say why not: a server without them is slower to begin, and no worse."""
    try:
        keep_compiled_programs(folder)
    except Untrusted as reason:
        warning = f"compiled programs are not kept, and each start compiles them again: {reason}"
        logging.getLogger("lamina.server").warning(warning)
        return [without_paths(warning)]  # whoever asks how the server is needs no token
    return []


class StrictJson(DefaultJSONProvider):
    """Finite numbers only, and fields in the order in which they were put."""

    sort_keys = False

    def dumps(self, obj: Any, **kwargs: Any) -> str:
        return super().dumps(obj, **{"allow_nan": False, **kwargs})


def start_clock() -> None:
    g.started = time.monotonic()


def log_request(response: Response) -> Response:
    """One line per request; an event stream gets a second one when it closes."""
    run_id = g.get("run_id") or (request.view_args or {}).get("run_id")
    logger.info(
        "%s %s %d %.1f ms%s%s",
        known(request.method, "(other)"),
        quote(without_secrets(request.path)),  # no line breaks or control characters of a client in the log
        response.status_code,
        1000 * (time.monotonic() - g.started),
        f" run={quote(without_secrets(run_id))}" if run_id else "",
        " opened" if response.mimetype == "text/event-stream" else "",
    )
    return response
