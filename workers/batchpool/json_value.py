"""Frozen dataclasses that travel as JSON objects."""

from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import cache
from types import UnionType
from typing import Any, Literal, NamedTuple, Self, Union, get_args, get_origin, get_type_hints

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
        return {
            each.name: getattr(self, each.field)
            if each.write is None
            else each.write(getattr(self, each.field))
            for each in self._columns()
        }

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Self:
        """The value; names that only another version knows are ignored."""
        return cls(
            **{
                each.field: raw[each.name] if each.read is None else each.read(raw[each.name])
                for each in cls._columns()
                if each.name in raw
            }
        )

    def checked(self) -> Self:
        """The value itself.

        Raises:
            TypeError: a field is not of its type.
        """
        for name, hint in get_type_hints(type(self)).items():
            if not _fits(getattr(self, name), hint):
                raise TypeError(f"{name} is not of its type")
        return self

    @classmethod
    @cache
    def _columns(cls) -> list["_Column"]:
        hints = get_type_hints(cls)
        return [
            _Column(each.name, each.metadata.get("json", each.name), *_converters(hints[each.name]))
            for each in fields(cls)  # type: ignore[arg-type]  # subclasses are dataclasses
        ]


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value is of a type of the kinds that fields have."""
    origin, args = get_origin(hint), get_args(hint)
    if hint is Any:
        return True
    if origin is Literal:
        return value in args
    if origin in (Union, UnionType):
        return any(_fits(value, each) for each in args)
    if origin is tuple:
        return isinstance(value, tuple) and all(_fits(each, args[0]) for each in value)
    if origin is list:
        return isinstance(value, list) and all(_fits(each, args[0]) for each in value)
    if origin is dict:
        pairs = value.items() if isinstance(value, dict) else ()
        return isinstance(value, dict) and all(
            _fits(name, args[0]) and _fits(each, args[1]) for name, each in pairs
        )
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if hint is int and isinstance(value, bool):
        return False
    return isinstance(value, hint) and (not isinstance(value, JsonValue) or bool(value.checked()))


Converter = Callable[[Any], Any]


class _Column(NamedTuple):
    """A field, its name in JSON, and its converters; None for a value that is the same in both."""

    field: str
    name: str
    read: Converter | None
    write: Converter | None


def _converters(hint: Any) -> tuple[Converter | None, Converter | None]:
    candidates = (hint, *get_args(hint))
    value = next((x for x in candidates if isinstance(x, type) and issubclass(x, JsonValue)), None)
    if get_origin(hint) is tuple:
        if value is None:
            return tuple, list
        return (
            lambda raw: tuple(map(value.from_json, raw)),
            lambda values: [each.to_json() for each in values],
        )
    if value is None:
        return None, None
    if get_origin(hint) is dict:
        return (
            lambda raw: {key: value.from_json(each) for key, each in raw.items()},
            lambda values: {key: each.to_json() for key, each in values.items()},
        )
    return (
        lambda raw: None if raw is None else value.from_json(raw),
        lambda one: None if one is None else one.to_json(),
    )
