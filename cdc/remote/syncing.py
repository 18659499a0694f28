"""Asks apps for their functions: `PUT` to their URLs (protocol sections 2.1 and 2.2).

An app answers by telling the service's API, or, asked to with a signature, in the answer itself.
"""

from __future__ import annotations

import time

import orjson

from cdc.remote import signing
from cdc.remote.addresses import NotAllowed
from cdc.remote.configs import Unusable
from cdc.remote.fields import Fields
from cdc.remote.registering import DEPLOY, Registering, stripped
from cdc.store import apps

MOST_BYTES = 8 * 1024 * 1024
_WITHIN = 30.0
_KIND = "x-inngest-sync-kind"
_IN_BAND = "in_band"
_LONGEST = 300


class Syncing:
    """Asks apps, whatever becomes of it."""

    def __init__(self, registering: Registering) -> None:
        self._registering = registering
        self._grounds = registering.grounds

    async def sync(self, id: int, url: str) -> str | None:
        """Have the app of a row tell of its functions; why it did not, for people, which is noted in its row, too."""
        try:
            await self._asked(id, url)
        except (NotAllowed, Unusable) as error:
            async with self._registering.to_state() as conn:
                await apps.fail(conn, id, str(error))
            return str(error)
        return None

    def became(self, id: int) -> int | None:
        """The row of the app that another row turned out to be."""
        return self._registering.became.pop(id, None)

    async def _asked(self, id: int, url: str) -> None:
        await self._grounds.target(url)
        answer = await self._put(url, id, orjson.dumps({"url": stripped(url)}))
        if answer is not None:
            await self._registering.take(answer, deploy=str(id))
            return
        async with self._registering.to_state() as conn:
            row = await apps.tried(conn, id)
        if row is not None and not row.synced:
            raise Unusable(
                "The app answered, and told another server of its functions: its INNGEST_DEV (or, with keys, "
                "INNGEST_BASE_URL) must be this service's address, such as http://localhost:8288."
            )

    async def _put(self, url: str, id: int, body: bytes) -> object:
        """What the app told in its answer; None: it told the API."""
        from cdc.remote.pool import (
            Lost,
            Pool,
            TooLarge,
            Unsent,
        )  # only now: 10 MB that a service without apps does not need

        headers = {"content-type": "application/json", "user-agent": "cdc", "x-inngest-server-kind": self._grounds.kind}
        if self._grounds.keys:
            headers |= {_KIND: _IN_BAND, "x-inngest-signature": signing.sign(body, self._grounds.keys[0], time.time())}
        pool = Pool(self._grounds.target)
        try:
            answer = await pool.exchange("PUT", _with(url, id), headers, body, timeout=_WITHIN, limit=MOST_BYTES)
        except (Unsent, Lost) as error:
            raise Unusable(f"The app {error}.") from None
        except TooLarge:
            raise Unusable(f"The app's answer has more than {MOST_BYTES} bytes.") from None
        finally:
            await pool.close()
        if answer.status != 200:
            raise Unusable(f"The app answered {answer.status}{_said(answer.body)}")
        return _json(answer.body) if answer.headers.get(_KIND) == _IN_BAND else None


def _with(url: str, id: int) -> str:
    """A URL that has the SDK give the row's id to the API."""
    return f"{url}{'&' if '?' in url else '?'}{DEPLOY}={id}"


def _json(content: bytes) -> object:
    try:
        return orjson.loads(content)
    except ValueError:
        raise Unusable("The app's answer is no JSON.") from None


def _said(content: bytes) -> str:
    """What the answer of an SDK says of why, or where it is none's, what to look at."""
    try:
        fields = Fields(orjson.loads(content))
        said = fields.text("message") or fields.text("error")
    except ValueError:
        return "; is its URL that of Inngest's handler, such as http://localhost:3000/api/inngest?"
    return f": {said[:_LONGEST]}" if said else "."
