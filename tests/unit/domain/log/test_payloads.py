"""Payloads: the same fields and types as the models that validate what is stored."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NotRequired, get_args, get_origin, get_type_hints

import pytest

from domain.log import payloads
from domain.log.events import EVENTS, EventData, Holder, Kind, RetryPolicy

LOOSER: dict[tuple[Kind, str], set[str]] = {
    ("task", "created"): {"retry"},
    ("task", "dispatched"): {"root"},
    ("lock", "refused"): {"holders"},
}
"""`root` is null only beside a null workspace; for holders and retries see below."""

Fields = dict[str, tuple[set[Any], bool]]
"""Of each field, the types of its JSON and whether it may be absent."""


def payload_of(kind: Kind, event: str) -> type:
    name = "".join(part.capitalize() for part in event.split("-")) + "Payload"
    found: type = getattr(payloads, name)
    return found


def stored_types(model: type[EventData]) -> Fields:
    found: Fields = {}
    for name, field in model.model_fields.items():
        absent, kinds = field.exclude_if is not None, _kinds(field.annotation)
        if absent:
            kinds.discard(type(None))
        found[name] = ({str if kind is datetime else kind for kind in kinds}, absent)
    return found


def named_types(payload: type) -> Fields:
    found: Fields = {}
    for name, hint in get_type_hints(payload, include_extras=True).items():
        absent = get_origin(hint) is NotRequired
        found[name] = (_kinds(get_args(hint)[0] if absent else hint), absent)
    return found


def _kinds(annotation: Any) -> set[Any]:
    """A union, or the values of a literal, in any order; of a list or map, the whole type."""
    container = get_origin(annotation) in (list, dict)
    return {annotation} if container else set(get_args(annotation) or [annotation])


@pytest.mark.parametrize(("kind", "event"), EVENTS)
def test_a_payload_has_the_fields_of_its_model(kind: Kind, event: str) -> None:
    model, payload = stored_types(EVENTS[kind, event]), named_types(payload_of(kind, event))
    assert payload.keys() == model.keys()
    for name in payload.keys() - LOOSER.get((kind, event), set()):
        assert payload[name] == model[name], name


def test_a_holder_has_the_fields_of_its_model() -> None:
    assert named_types(payloads.HolderPayload) == stored_types(Holder)
    assert get_type_hints(payloads.RefusedPayload)["holders"] == list[payloads.HolderPayload]


def test_a_retry_policy_has_the_fields_of_its_model() -> None:
    assert named_types(payloads.RetryPayload) == stored_types(RetryPolicy)
    assert get_type_hints(payloads.CreatedPayload)["retry"] == payloads.RetryPayload


def test_what_ends_tell_and_what_names_others_is_part_of_the_events() -> None:
    """Each field of a payload that is read of several events has the type it has in one of them."""
    every = [stored_types(model) for model in EVENTS.values()]
    for payload in (payloads.ToldPayload, payloads.NamingPayload, payloads.PlacePayload):
        for name, hint in get_type_hints(payload).items():
            assert any(_kinds(hint) >= model[name][0] for model in every if name in model), name
