"""Dataclasses that nobody changes, without what freezing costs: the type checker holds to it instead.

A frozen one takes three times as long to make at run time, and an audit makes hundreds of thousands.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__all__ = ["dataclass"]

if TYPE_CHECKING:
    from dataclasses import dataclass
else:
    import dataclasses

    def dataclass(*, frozen, slots=False, eq=True, order=False):
        """`dataclasses.dataclass` with the same comparison and hash; `frozen` is for the type checker."""
        assert frozen
        return dataclasses.dataclass(slots=slots, eq=eq, order=order, unsafe_hash=eq)
