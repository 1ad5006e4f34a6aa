"""The methods of an object as the views of a blueprint: what a view works with is what its object was made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from flask import Blueprint

View = TypeVar("View", bound=Callable[..., Any])
ROUTE = "route"


def route(method: str, path: str) -> Callable[[View], View]:
    """Marks a method as the view of an endpoint; its docstring is the sentence of the OpenAPI document."""

    def mark(view: View) -> View:
        view.__dict__[ROUTE] = (method, path)
        return view

    return mark


def blueprint(routes: object) -> Blueprint:
    """The marked methods of `routes`, in their order, under the name of its module."""
    module = type(routes).__module__
    made = Blueprint(module.rpartition(".")[2], module)
    for name, view in vars(type(routes)).items():
        if marked := getattr(view, ROUTE, None):
            method, path = marked
            made.add_url_rule(path, name, getattr(routes, name), methods=[method])
    return made
