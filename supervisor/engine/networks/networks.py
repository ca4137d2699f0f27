"""Networks as containers and the API use them: rows in the store; what the kernel has of them is fabric.py's.

A network's bridge is made when its first container starts, so a network that nobody uses costs a row. It goes before
the row does: what a crash leaves is a row, and the next ``network rm`` goes on.
"""

from __future__ import annotations

import importlib
import logging
import secrets
import time
from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import trio

from pysup.store import endpoints, networks
from pysup.store.errors import Ambiguous, Missing, NameTaken, StoreError
from pysup.store.networks import Network as Row
from pysup.store.store import Store
from pysup.supervisor.engine.callers import Caller
from pysup.supervisor.engine.networks import builtin, held, rows
from pysup.supervisor.engine.networks.forwarding import Forwarding
from pysup.supervisor.engine.networks.naming import Naming
from pysup.supervisor.engine.networks.relays import Relays
from pysup.supervisor.engine.news import Happening, NewsDesk
from pysup.supervisor.errors import BadRequest, Conflict, Forbidden, NotFound, PysupError, Unavailable
from pysup.supervisor.keeper.client.link import Link
from pysup.supervisor.kernel import netns
from pysup.supervisor.kernel.features import Feature
from pysup.supervisor.network import routes, uplink_programs
from pysup.supervisor.network.addresses import Network
from pysup.supervisor.network.firewall import Firewall
from pysup.supervisor.settings import Settings
from pysup.supervisor.spec.network import BRIDGE
from pysup.supervisor.spec.networks import (
    CREATE,
    ON_PARENT,
    Options,
    WantedNetwork,
)

log = logging.getLogger(__name__)

if TYPE_CHECKING:
    from pysup.supervisor.engine.networks.fabric import Fabric
    from pysup.supervisor.engine.networks.home import Home

_SHORT = 12


class Networks:
    """One for each daemon."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        *,
        news: NewsDesk,
        nursery: trio.Nursery,
        link: Link,
        naming: Naming,
        firewall: Firewall,
    ) -> None:
        self.naming = naming
        self.relays = Relays(nursery)
        self._nursery = nursery
        self._link = link
        self.firewall = firewall
        self._store = store
        self._settings = settings
        self._news = news
        self._fabric: Fabric | None = None
        self._were_in_use = False
        """Whether containers ran on networks when the engine before this one ended."""
        self._features: dict[str, Feature] = {}
        self._turn = trio.Lock()

    async def fabric(self) -> Fabric:
        """The kernel's side; its import is left to the first who needs it. Raises Unavailable."""
        async with self._turn:
            if self._fabric is None:
                self._fabric = await self._begun()
            return self._fabric

    async def _begun(self) -> Fabric:
        healing, homes = [await _imported(name) for name in ("healing", "home")]
        try:
            home: Home = await homes.find_home(self._link, self._settings)
        except OSError as error:
            raise Unavailable(f"cannot make a network namespace without root: {error}") from error
        self.firewall.settle(home.namespace)
        settings = self._settings
        forwarding = Forwarding(
            settings.forwarding_note, home.namespace, drops=not settings.ip_forward_no_drop
        )
        fabric: Fabric = healing.Fabric(self._store, self._news, self.firewall, forwarding, home)
        await self._nursery.start(healing.heal, fabric, self.firewall)
        return fabric

    async def features(self) -> dict[str, Feature]:
        """What the kernel has for them."""
        async with self._turn:
            if not self._features:
                self._features = await (await _imported("kernel_features")).network_features(self.firewall)
            return self._features

    async def prepare(self) -> None:
        """The networks that are always there, as the daemon's flags have them; the engine begins.

        A bridge that is made otherwise now goes before its row is changed: those who were on it have ended.
        """
        conn, settings = self._store.read(), self._settings
        self._were_in_use = bool(endpoints.alive_networks(conn))
        held.adopt(self._link)
        missing, changed = builtin.missing(conn, settings), builtin.change(conn, settings)
        if changed is not None and changed.rebuilt:
            await (await self.fabric()).remove(changed.row)
        occupied = self._occupied(settings.bridge)
        if missing:
            await self._store.write(
                partial(
                    builtin.add, names=missing, settings=settings, occupied=occupied, now_ns=time.time_ns()
                )
            )
        if changed is not None:
            await self._store.write(
                partial(builtin.apply, wanted=changed, settings=settings, occupied=occupied)
            )

    def tidy(self) -> None:
        """Take back, meanwhile, what an engine that was killed led to containers that had ended before.

        Where none of our bridges is there, none was led to: nothing is imported, and nothing of the machine's touched.
        What there is may be another daemon's, unless this one owned the networks, or was killed while they were in use.
        """
        owned = bool(self._link.held(held.OWNER)) or self._were_in_use
        if owned and held.has_bridges(self._link, networks.list_networks(self._store.read())):
            self._nursery.start_soon(self._tidy)

    async def _tidy(self) -> None:
        try:
            with suppress(Conflict):  # another daemon's by now, with a table of its own
                await (await self.fabric()).table.tidy()
        except (PysupError, StoreError, OSError) as error:
            log.error("cannot tidy up the rules of networks: %s", error)

    @staticmethod
    def _occupied(besides: str = "") -> list[Network]:
        return [*routes.routed(besides), *(() if netns.is_governed() else uplink_programs.SUBNETS)]

    # -- finding ---------------------------------------------------------------------------------------------

    def find(self, ref: str, verb: str = "find") -> Row:
        """By name, id or unique prefix of the id. Raises NotFound, BadRequest."""
        try:
            return networks.find(self._store.read(), ref)
        except Missing:
            raise NotFound(
                f"cannot {verb} network {ref}: network {ref} not found{self._why_none(ref)}"
            ) from None
        except Ambiguous as error:
            raise BadRequest(f"cannot {verb} network {ref}: the prefix is that of several ids") from error

    def _why_none(self, name: str) -> str:
        """Why there is no default network; empty: another one is meant, or it was not wanted."""
        missing = name == BRIDGE and not netns.is_governed() and uplink_programs.why_not()
        return f": without root it needs a way out, but {missing}" if missing else ""

    # -- making and removing ---------------------------------------------------------------------------------

    async def create(self, wanted: WantedNetwork, caller: Caller) -> Row:
        """Raises Conflict (the name, an overlap), BadRequest, Unavailable (no subnet is left, no root for it)."""
        network_id = secrets.token_hex(32)
        options, beside = Options(wanted.options), wanted.driver in ON_PARENT
        if beside and not netns.is_governed():
            raise Unavailable(
                f"cannot {CREATE} {wanted.name}: driver {wanted.driver} needs root: a container of it is beside "
                "an interface of the host; without root there are networks of the driver bridge"
            )
        device = options.parent if beside else options.device or f"br-{network_id[:_SHORT]}"
        row = rows.row_of(wanted, network_id, device)
        await self._check_device(row, options)
        occupied = () if beside else self._occupied()  # it is where the host's own network is
        try:
            await self._store.write(
                partial(
                    rows.insert,
                    row=row,
                    wanted=wanted,
                    settings=self._settings,
                    occupied=occupied,
                    caller=caller,
                )
            )
        except NameTaken:
            await self._take_back(row)
            raise Conflict(
                f"cannot create network {wanted.name}: network with name {wanted.name} already exists"
            ) from None
        except BaseException:
            await self._take_back(row)
            raise
        self._news.publish(Happening("network", row.id, "create"))
        return row

    async def _check_device(self, row: Row, options: Options) -> None:
        """What its first container would find wrong is told now. Raises Conflict, Unavailable."""
        known = (one.device for one in networks.list_networks(self._store.read()))
        if row.device not in known and (options.device or options.parent):
            trouble = await (await self.fabric()).trouble_with_device(row)
            if trouble:
                raise Conflict(f"cannot {CREATE} {row.name}: {trouble}")

    async def _take_back(self, row: Row) -> None:
        """A network has come to nothing: so does the VLAN that was made for it."""
        if Options(row.options).vlan is not None:
            with trio.CancelScope(shield=True):
                await (await self.fabric()).beside.remove(row)

    async def remove(self, ref: str, caller: Caller) -> None:
        """Raises NotFound, Conflict (in use), Forbidden (a predefined one)."""
        row = self.find(ref, "remove")
        if row.builtin:
            raise Forbidden(
                f"cannot remove network {row.name}: it is a pre-defined network and cannot be removed"
            )
        rows.refuse_used(self._store.read(), row)
        if row.driver not in ON_PARENT:
            await (await self.fabric()).remove(row)
        elif Options(row.options).vlan is not None:
            await (await self.fabric()).beside.remove(row)
        await self._store.write(partial(rows.delete, row=row, caller=caller))
        self._news.publish(Happening("network", row.id, "destroy"))

    async def prune(self, chosen: Iterable[Row], caller: Caller) -> list[str]:
        """Remove those that nobody is on; their names. One that is used by now, or gone, is left out."""
        removed = []
        for row in chosen:
            if not row.builtin and not endpoints.of_network(self._store.read(), row.id):
                with suppress(Conflict, NotFound):
                    await self.remove(row.id, caller)
                    removed.append(row.name)
        return removed


async def _imported(name: str) -> Any:  # noqa: ANN401 - a module
    return await trio.to_thread.run_sync(importlib.import_module, f"{__package__}.{name}")
