"""What the panel may know and do: the words between it and the service. The panel knows no gateway."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

from msgspec import Struct

from codex_nexus.budgets import Used
from codex_nexus.config.model import Config
from codex_nexus.routing import Listed
from codex_nexus.sessions.store import StoreState
from codex_nexus.sessions.usage import Usage
from codex_nexus.snapshot import Snapshot


class Turn(Protocol):
    """One turn as a row; see the gateway's book of turns for the fields."""

    @property
    def id(self) -> str: ...  # noqa: D102
    @property
    def at(self) -> float: ...  # noqa: D102
    @property
    def asked(self) -> str: ...  # noqa: D102
    @property
    def upstream(self) -> str: ...  # noqa: D102
    @property
    def client(self) -> str: ...  # noqa: D102
    @property
    def status(self) -> str: ...  # noqa: D102
    @property
    def seconds(self) -> float: ...  # noqa: D102
    @property
    def input_tokens(self) -> int: ...  # noqa: D102
    @property
    def cached_tokens(self) -> int: ...  # noqa: D102
    @property
    def output_tokens(self) -> int: ...  # noqa: D102
    @property
    def reasoning_tokens(self) -> int: ...  # noqa: D102
    @property
    def fault(self) -> str: ...  # noqa: D102
    @property
    def effort(self) -> str: ...  # noqa: D102
    @property
    def effort_sent(self) -> str: ...  # noqa: D102


class Book(Protocol):
    """The turns under way and the last ones that ended."""

    @property
    def running(self) -> Mapping[str, Turn]: ...  # noqa: D102
    @property
    def ended(self) -> Sequence[Turn]: ...  # noqa: D102
    @property
    def turns(self) -> int: ...  # noqa: D102
    @property
    def failures(self) -> int: ...  # noqa: D102

    def listen(self, listener: Callable[[Turn], None], /) -> Callable[[], None]:
        """Tells a listener of each beginning and end; call the result to stop."""
        ...


class Records(Protocol):
    """The last turns with all that went through in them, where that is wanted."""

    @property
    def keep(self) -> int:
        """How many are kept; 0: none is recorded."""
        ...

    async def switch(self, keep: int) -> None:
        """Keeps so many from now on, until the configuration says something else."""
        ...

    def turns(self) -> list[str]:
        """The ids in the book of turns of those that are recorded."""
        ...

    async def listed(self) -> Sequence[Struct]:
        """Those that are kept, oldest first, as rows for the page; it alone looks into them."""
        ...

    async def told(self, name: str, *, words: bool) -> bytes | None:
        """One as a JSON document, by either id; None when it is not there."""
        ...


class ProbedModel(Struct, frozen=True):
    """One model as its provider lists it, with what is known of it; see the gateway's offered models."""

    id: str
    name: str = ""
    context_window: int | None = None
    at_most: bool = False
    max_output: int | None = None
    images: bool | None = None
    price: tuple[float, float, float] | None = None


class LocalServer(Struct, frozen=True):
    """A model server of this machine.

    Attributes:
        id: of the provider that it is.
        usual: it stands where its record says, so that its models can be asked for at once.
        refusal: what it says in place of a list.
        hint: how to use it, in a sentence.
        wants_key: that is why it refuses.
    """

    id: str
    name: str
    address: str
    models: tuple[str, ...]
    usual: bool
    refusal: str
    hint: str
    wants_key: bool = False


class Way(Struct, frozen=True):
    """How requests to a provider leave this machine: the gateway's `Road`, with the proxy as it may be shown."""

    why: Literal["provider", "all", "environment", "system", "exempt", "this_machine", "none"]
    place: str
    proxy: str


class Injection(Struct, frozen=True):
    """What stands in Codex's configuration.

    Attributes:
        state: nothing of ours, our provider, our provider as the default, or a file that cannot be read.
        path: of Codex's `config.toml`.
        said: a sentence for a person when there is something to say.
        possible: whether inject and eject can be done from here.
    """

    state: Literal["absent", "present", "default", "unreadable"]
    path: str
    said: str = ""
    possible: bool = True


class Planned(Struct, frozen=True):
    """What an injection would do to Codex's `config.toml`; `said` stands in place of a diff when there is none."""

    path: str
    diff: str = ""
    changed: bool = False
    said: str = ""


class Steering(Protocol):
    """The service as the panel sees it."""

    @property
    def home(self) -> Path:
        """The folder of the user's files."""
        ...

    @property
    def started_at(self) -> float:
        """Unix time of the start."""
        ...

    @property
    def address(self) -> str:
        """The gateway's URL; empty while it is not started."""
        ...

    @property
    def panel_address(self) -> str:
        """The panel's own URL."""
        ...

    @property
    def snapshot(self) -> Snapshot:
        """The world that serves requests now."""
        ...

    @property
    def applied(self) -> Config:
        """The configuration of that world, without what the command line says over it."""
        ...

    @property
    def overridden(self) -> Mapping[str, Any]:
        """Keys that the command line sets over the file."""
        ...

    @property
    def command(self) -> str:
        """What starts this program in a terminal."""
        ...

    @property
    def codex_found(self) -> bool:
        """Whether `codex` can be started in a terminal."""
        ...

    @property
    def book(self) -> Book:
        """The turns."""
        ...

    @property
    def records(self) -> Records:
        """The recorded turns."""
        ...

    async def open_gateway(self) -> None:
        """Starts the gateway if it is not started."""
        ...

    async def apply(self, config: Config, unknown: dict[str, Any]) -> None:
        """Hot restart; saves the file as well. A NexusError means that nothing was changed."""
        ...

    async def reload(self) -> bool:
        """Takes over what stands in the files; whether anything changed. A NexusError means that nothing did."""
        ...

    def shut_down(self) -> None:
        """Asks the whole program to end, gracefully."""
        ...

    async def models(self, provider: str, snapshot: Snapshot) -> tuple[ProbedModel, ...]:
        """A provider's own list, asked for now. A NexusError says in plain words why there is none."""
        ...

    def way(self, provider: str, snapshot: Snapshot) -> Way:
        """How a provider is asked in this world."""
        ...

    async def local(self) -> tuple[LocalServer, ...]:
        """The model servers of this machine, looked for now."""
        ...

    async def store(self) -> StoreState:
        """How the session store does."""
        ...

    async def usage(self, days: int) -> Usage:
        """What was used in the last days, today among them. A StoreError says why it cannot be told."""
        ...

    def used_today(self) -> Used:
        """What the gateway's owner has used today, by provider: the sums that budgets are held by."""
        ...

    def listed(self) -> Listed:
        """Model ids that providers have told so far."""
        ...

    def injection(self) -> Injection:
        """What stands in Codex's configuration now."""
        ...

    def planned(self, config: Config) -> Planned:
        """What an injection of this configuration would change."""
        ...

    async def inject(self) -> str:
        """Writes our part of Codex's configuration; the sentence says what was done."""
        ...

    async def eject(self) -> str:
        """Takes our part away again; the sentence says what was done."""
        ...
