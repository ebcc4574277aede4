"""How long the first of a batch waits for others, learned from how many came and what a call takes."""

from __future__ import annotations

# Of the time that a call takes. One that waits longer than the calls it saves loses.
_OF_A_CALL = 2.0
_KEPT = 0.8  # of what was learned before, with each further batch


class Window:
    """What is expected of the next batch. A lone request never waits: nobody was with the one before it."""

    def __init__(self, max_delay_s: float) -> None:
        self._max_delay_s = max_delay_s
        self._together = 1.0
        self._call_s = 0.0

    @property
    def expected(self) -> int:
        """How many requests the next batch is likely to have."""
        return int(self._together + 0.5)

    @property
    def wait_s(self) -> float:
        """The most seconds that a batch of fewer waits for the rest."""
        return min(self._max_delay_s, _OF_A_CALL * self._call_s) if self.expected > 1 else 0.0

    def learn(self, together: int, call_s: float) -> None:
        """Take in a batch: its requests, and the seconds that its calls took."""
        # More come at once than were expected: believe it. Fewer: only little by little, it may be a pause.
        kept = _KEPT if together < self._together else 0.5
        self._together = kept * self._together + (1 - kept) * together
        self._call_s = _KEPT * self._call_s + (1 - _KEPT) * call_s if self._call_s else call_s
