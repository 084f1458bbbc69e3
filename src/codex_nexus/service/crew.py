"""What joins the workers of one gateway: all tell their turns and lend their recordings; the first shows them."""

from __future__ import annotations

from codex_nexus.control.steering import Book
from codex_nexus.gateway.state import Gateway
from codex_nexus.service.lending import Borrower, Lender
from codex_nexus.service.news import Ledger, Teller
from codex_nexus.service.records import Records


class First:
    """The part of the first worker, which has the panel: it hears of the turns of all. Needs a running loop."""

    def __init__(self, gateway: Gateway, end: int, folder: str) -> None:
        self._ledger = Ledger(end, gateway.traffic)
        self.book: Book = self._ledger
        self.records = Borrower(Records(gateway), folder)

    async def start(self) -> None:
        """Nothing to do."""

    def close(self) -> None:
        """Hears nothing more."""
        self._ledger.close()


class Other:
    """The part of any other worker: it tells its turns, and lends what it has on record. Needs a running loop."""

    def __init__(self, gateway: Gateway, worker: int, end: int, folder: str) -> None:
        self.book: Book = gateway.traffic
        self.records = Records(gateway)
        self._teller = Teller(end, worker, gateway.traffic)
        self._lender = Lender(self.records, folder, worker)

    async def start(self) -> None:
        """Listens for the first worker."""
        await self._lender.start()

    def close(self) -> None:
        """Tells and lends nothing more."""
        self._teller.close()
        self._lender.close()
