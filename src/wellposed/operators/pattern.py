"""An operator as a pattern and the tensors in it, so that a map of its weights can be written down."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from torch import Tensor

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    from wellposed.operators.base import Operator


def tensors_of(K: Operator) -> list[Tensor]:
    """Return the tensors of real numbers that an operator is made of, in the order of its fields."""
    found: list[Tensor] = []
    for field in fields(cast("DataclassInstance", K)):
        value = getattr(K, field.name)
        if _is_weight(value):
            found.append(value)
        elif is_dataclass(value):
            found.extend(tensors_of(cast("Operator", value)))
    return found


def with_tensors(K: Operator, values: Iterable[Tensor]) -> Operator:
    """Return K with its tensors replaced, in the order of `tensors_of`."""
    rest = iter(values)

    def replaced(part: Any) -> Any:
        if _is_weight(part):
            return next(rest)
        if is_dataclass(part) and not isinstance(part, type):
            return replace(
                part, **{field.name: replaced(getattr(part, field.name)) for field in fields(part)}
            )
        return part

    return cast("Operator", replaced(K))


def _is_weight(part: object) -> bool:
    return isinstance(part, Tensor) and part.is_floating_point()
