"""How long things may take between a worker and us, in seconds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Times:
    """The defaults are what SDKs expect; they are told `heartbeat` and `extend`."""

    heartbeat: int = 10
    """Between two signs of life of a worker."""
    silence: float = 25.0
    """Without one, the connection is ended."""
    extend: int = 5
    """Between two words of a worker that it still has a call."""
    lease: float = 20.0
    """Without one, the call has failed."""
    taken: float = 5.0
    """Until a worker says that it has a call; then another is asked."""
    place: float = 30.0
    """For a place, where all workers have as many calls as they take."""
    handshake: float = 10.0
    """For the first message of a worker."""
    sending: float = 10.0
    """Until a message is out; then nobody reads."""
