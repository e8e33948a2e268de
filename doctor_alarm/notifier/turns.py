# SPDX-License-Identifier: Apache-2.0
"""Turns: projects one after the other, then the receivers of each.

However many receivers a project has, it is one of those that take turns.
"""
from __future__ import annotations

import collections
from collections.abc import Callable
import dataclasses
from typing import Generic
from typing import Protocol
from typing import TypeVar

#: Seconds after which an item without a place may come again.
EXCESS = (1.0, 10.0)
#: Items of a receiver that is not called, or of a project without a place,
#: which come back in a second: the first may find that nothing has changed.
PARKED = 300


@dataclasses.dataclass(slots=True, eq=False)
class Project:
    """What the receivers of a project take together."""

    since: float
    receivers: int = 0
    active: int = 0
    probes: int = 0
    waiting: int = 0
    answers: int = 0
    _back_at: float = float('-inf')

    def park(self, now: float) -> float:
        """Return after how many seconds an item may come again.

        They come one by one, at the rate of its answers if that is higher.
        """
        each = max(now - self.since, 1.0) / max(self.answers, 1)
        self._back_at = max(
            self._back_at, now + EXCESS[0]) + min(each, 1 / PARKED)
        return self._back_at - now


class Member(Protocol):
    """Something that takes turns on behalf of a project."""

    @property
    def project(self) -> Project:
        """Whose turn it takes."""


M = TypeVar('M', bound=Member)


class Turns(Generic[M]):
    """Members in the order in which they have their turn."""

    def __init__(self) -> None:
        self._projects: collections.deque[Project] = collections.deque()
        self._members: dict[Project, collections.deque[M]] = {}

    def add(self, member: M) -> None:
        """Put it behind those of its project."""
        members = self._members.get(member.project)
        if members is None:
            members = self._members[member.project] = collections.deque()
            self._projects.append(member.project)
        members.append(member)

    def take(self, may: Callable[[Project], bool]) -> M | None:
        """Take the first member of the next project that may."""
        for _ in range(len(self._projects)):
            project = self._projects.popleft()
            if not may(project):
                self._projects.append(project)
                continue
            members = self._members[project]
            member = members.popleft()
            if members:
                self._projects.append(project)
            else:
                del self._members[project]
            return member
        return None
