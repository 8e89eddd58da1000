"""Frozen dataclasses that travel as JSON objects."""

from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import cache
from typing import Any, Self, get_args, get_origin, get_type_hints

JsonObject = dict[str, Any]
"""A JSON object whose fields are not typed here: given by users, or an answer of the API, whose
fields a response model has. Tests check each answer by its model; the service would need more time
to make models than to make the answer."""


class JsonValue:
    """Base of a frozen dataclass that is written and read as a JSON object, field by field.

    A field may be such a value itself, or a tuple or dict of them. Its name in JSON is that of
    the field, unless its metadata names another under `json`.
    """

    def to_json(self) -> JsonObject:
        return {name: _plain(getattr(self, field)) for field, name, _ in self._columns()}

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Self:
        """The value; names that only another version knows are ignored."""
        return cls(
            **{field: read(raw[name]) for field, name, read in cls._columns() if name in raw}
        )

    @classmethod
    @cache
    def _columns(cls) -> list[tuple[str, str, Callable[[Any], Any]]]:
        """Each field's name, its name in JSON, and the function that reads it."""
        hints = get_type_hints(cls)
        return [
            (each.name, each.metadata.get("json", each.name), _reader(hints[each.name]))
            for each in fields(cls)  # type: ignore[arg-type]  # subclasses are dataclasses
        ]


def _reader(hint: Any) -> Callable[[Any], Any]:
    candidates = (hint, *get_args(hint))
    value = next((x for x in candidates if isinstance(x, type) and issubclass(x, JsonValue)), None)
    if get_origin(hint) is tuple:
        return (lambda raw: tuple(map(value.from_json, raw))) if value else tuple
    if value is None:
        return lambda raw: raw
    if get_origin(hint) is dict:
        return lambda raw: {key: value.from_json(each) for key, each in raw.items()}
    return lambda raw: None if raw is None else value.from_json(raw)


def _plain(value: Any) -> Any:
    if isinstance(value, JsonValue):
        return value.to_json()
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    return value
