"""A walk over directories by forked processes: each takes subtrees of its own.

The first directories are looked at here, breadth first, until there are enough subtrees to deal out; a small
walk never forks.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import TypeVar

from snapshotter.forked import MAX_UNITS, forked_map

ENOUGH_SUBTREES = 64
INLINE_DIRECTORIES = 200  # Looking at so many costs about as much as two forks.

Place = TypeVar("Place")
Found = TypeVar("Found")


def forked_walk(
    waiting: deque[Place], look: Callable[[Place, deque[Place]], Iterator[Found]], workers: int
) -> Iterator[Found]:
    """What `look(place, waiting)` finds at each waiting place and at those it adds to `waiting`, in no order.

    Raises ForkFailed, and what `look` raises.
    """
    looked = 0
    while waiting and len(waiting) < MAX_UNITS:
        if looked >= INLINE_DIRECTORIES and len(waiting) >= ENOUGH_SUBTREES:
            break
        yield from look(waiting.popleft(), waiting)
        looked += 1
    subtrees = list(waiting)

    def below(unit: int) -> Iterator[Found]:
        mine = deque(subtrees[unit::MAX_UNITS])
        while mine:
            yield from look(mine.pop(), mine)

    yield from forked_map(min(len(subtrees), MAX_UNITS), below, workers)
