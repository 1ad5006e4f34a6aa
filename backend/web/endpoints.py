"""The routes, by subject, and what each of them works with."""

from __future__ import annotations

from flask import Flask

from backend.actions.augment_preview import Previews
from backend.actions.benchmarks import BenchmarkOrders
from backend.actions.definitions import Definitions
from backend.actions.deletion import Deletion
from backend.actions.devices import DeviceList
from backend.actions.evaluation import Evaluation
from backend.actions.health import Health
from backend.actions.infer import Infer
from backend.actions.inspection import Inspection
from backend.actions.labels import Labels
from backend.actions.launch import Launch
from backend.actions.networks import Networks
from backend.actions.order import Orders
from backend.actions.pictures import Easel
from backend.actions.promotion import Promotion
from backend.actions.resume import Resume
from backend.actions.weights import Weights
from backend.events.capacity import Places
from backend.services import Services
from backend.state.sizes import Sizes
from backend.web.api.benchmarks import BenchmarkRoutes
from backend.web.api.catalog import CatalogRoutes
from backend.web.api.compare import CompareRoutes
from backend.web.api.devices import DeviceRoutes
from backend.web.api.evaluation import EvaluationRoutes
from backend.web.api.events import EventRoutes
from backend.web.api.infer import InferRoutes
from backend.web.api.inspection import InspectionRoutes
from backend.web.api.models import ModelRoutes
from backend.web.api.monitoring import MonitoringRoutes
from backend.web.api.reference import ReferenceRoutes
from backend.web.api.runs import RunRoutes
from backend.web.api.training import TrainingRoutes
from backend.web.api.weights import WeightsRoutes
from backend.web.downloads import Downloads
from backend.web.event_stream import EventStreams
from backend.web.gauges import Gauges
from backend.web.routes import blueprint


def register(app: Flask, parts: Services) -> None:
    """Every endpoint of the application."""
    store, checkpoints, runs = parts.store, parts.checkpoints, parts.runs
    health = health_of(parts)
    parts.telemetry.registry.register(Gauges(health))
    networks = Networks(store, checkpoints, runs, parts.predictors)
    definitions = Definitions(store, checkpoints, parts.limits, parts.compile_ahead)
    deletion, sizes = Deletion(store, checkpoints, runs, parts.predictors), Sizes(checkpoints.root)
    resume = Resume(store, checkpoints, runs)
    orders = Orders(store, resume, parts.limits, parts.default_dataset, parts.settings.kernels)
    benchmarks = BenchmarkOrders(parts.benchmarks, orders, parts.limits, parts.settings.kernels)
    launch = Launch(store, runs, orders)
    streams = EventStreams(parts.log, parts.benchmarks.log, parts.streams)
    easel, previews = Easel(), Previews(parts.settings.data_dir, parts.default_dataset)
    for routes in (
        ModelRoutes(store, checkpoints, runs, definitions, Promotion(store, networks), deletion, sizes),
        TrainingRoutes(launch, resume, runs),
        InspectionRoutes(Inspection(orders, store, parts.measuring, parts.programs)),
        RunRoutes(store, runs, streams, deletion, Labels(store), sizes, easel),
        BenchmarkRoutes(store, runs, benchmarks, streams, deletion),
        CompareRoutes(store, easel),
        WeightsRoutes(Weights(networks), Downloads(parts.downloads)),
        EventRoutes(streams),
        EvaluationRoutes(Evaluation(networks, parts.programs, parts.settings.data_dir, Places(1))),
        InferRoutes(Infer(networks, parts.telemetry)),
        CatalogRoutes(parts.settings.data_dir, health, previews, easel),
        DeviceRoutes(DeviceList(parts.measuring, runs)),
    ):
        app.register_blueprint(blueprint(routes), url_prefix="/api")
    app.register_blueprint(blueprint(MonitoringRoutes(parts.telemetry.registry)))
    app.register_blueprint(blueprint(ReferenceRoutes()))


def health_of(parts: Services) -> Health:
    """Of the whole server."""
    return Health(
        state_dir=parts.settings.state_dir,
        writing=parts.writing,
        runs=parts.runs,
        streams=parts.streams,
        retention=parts.retention,
        state_size=parts.state_size,
        warnings=(
            lambda: parts.warnings,
            parts.deaths.warnings,
            parts.attempts.warnings,
            parts.store.unreadable.sentences,
        ),
        started=parts.started,
    )
