"""Clients that do the same again and again while the daemon is killed under them."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator

from helpers.mortal import Mortal

from pysup.supervisor.client.sync import Client
from pysup.supervisor.errors import PysupError, Unavailable


class Storm(threading.Thread):
    """Acts until it is told to end; the daemon may die at any moment, and everything else is odd."""

    def __init__(
        self,
        mortal: Mortal,
        act: Callable[[Client], None],
        expected: tuple[type[PysupError], ...] = (),
    ) -> None:
        """``expected``: errors that come of another storm which is faster."""
        super().__init__()
        self._mortal = mortal
        self._act = act
        self._expected = expected
        self.over = threading.Event()
        self.done = 0
        self.odd: list[str] = []

    def run(self) -> None:
        while not self.over.is_set():
            with contextlib.closing(self._mortal.client()) as client:
                self._once(client)

    def _once(self, client: Client) -> None:
        try:
            self._act(client)
        except (Unavailable, *self._expected):
            return
        except (PysupError, AssertionError) as error:
            self.odd.append(str(error))
        self.done += 1


@contextlib.contextmanager
def storming(storms: Iterable[Storm]) -> Iterator[None]:
    """They act while the block is done; afterwards each has come to an end of its act, and found nothing odd."""
    every = list(storms)
    for storm in every:
        storm.start()
    try:
        yield
    finally:
        for storm in every:
            storm.over.set()
        for storm in every:
            storm.join()
    odd = [one for storm in every for one in storm.odd]
    assert not odd, odd
    assert any(storm.done for storm in every)
