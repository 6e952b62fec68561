"""What the two generators share: values for generated signatures."""

from __future__ import annotations

import datetime
import enum
import inspect
import types
import typing
import uuid


def choices(hint: object) -> list[object]:
    """The types that a hint allows, without wrappers."""
    origin = typing.get_origin(hint)
    if origin is typing.Annotated:
        return choices(typing.get_args(hint)[0])
    if origin in (typing.Union, types.UnionType):
        return [choice for part in typing.get_args(hint) for choice in choices(part)]
    return [hint]


def fitting(value: object, hint: object) -> object:
    """`value` as what the generated code wants."""
    for choice in choices(hint):
        if typing.get_origin(choice) is list and isinstance(value, list):
            inner = (typing.get_args(choice) or (object,))[0]
            return [fitting(each, inner) for each in value]
        if not inspect.isclass(choice):
            continue
        if issubclass(choice, enum.Enum):
            return choice(value)
        if choice is uuid.UUID:
            return uuid.UUID(value)
        if choice is datetime.datetime and isinstance(value, str):
            return datetime.datetime.fromisoformat(value.replace("Z", "+00:00"))
        if choice is datetime.date and isinstance(value, str):
            return datetime.date.fromisoformat(value)
        if hasattr(choice, "from_dict") and isinstance(value, dict):
            return choice.from_dict(value)
    return value
