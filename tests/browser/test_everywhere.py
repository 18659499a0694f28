"""What is true of every page."""

from __future__ import annotations

from typing import Any

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import BrowserContext, Page

from cdc.web.pages.rendering import PLACES
from tests.acceptance.state import runs
from tests.browser.conftest import Dashboard
from tests.waiting import eventually

WCAG_AA: dict[str, Any] = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"],
    "resultTypes": ["violations"],
}

CONTRAST: dict[str, Any] = {"runOnly": {"type": "rule", "values": ["color-contrast"]}, "resultTypes": ["violations"]}
"""What differs in the dark."""

PHONE: Any = {"width": 390, "height": 844}


@pytest.mark.timeout(300)
async def test_every_page_is_accessible_fits_a_phone_and_can_be_read_without_a_script(dashboard: Dashboard) -> None:
    addresses = [place.path for place in PLACES] + await _details(dashboard)
    window = await dashboard.signed_in(viewport=PHONE, color_scheme="light", reduced_motion="reduce")
    for address in addresses:
        page = await dashboard.page(window, address)
        width = await page.evaluate("document.documentElement.scrollWidth")
        assert width <= PHONE["width"], f"{address} is {width} pixels wide"
        assert await _violations(page, WCAG_AA) == [], address
        await page.emulate_media(color_scheme="dark")
        assert await _violations(page, CONTRAST) == [], f"{address} in the dark"
        await page.close()
    without = await dashboard.signed_in(java_script_enabled=False)
    for address in addresses:
        await _reads(dashboard, without, address)


async def _details(dashboard: Dashboard) -> list[str]:
    """Pages about one run, event, function and call, once there is one of each."""
    await dashboard.conn.execute("insert into users (name) values ('Ada')")
    await dashboard.conn.execute("insert into documents (title, body) values ('Tea', 'Leaves in hot water')")

    async def ended() -> str | None:
        found = [run for run in await runs(dashboard.conn) if run.function == "welcome"]
        return found[0].id if found and found[0].status == "completed" else None

    run = await eventually(ended, within=60, what="the user is welcome")
    cursor = await dashboard.conn.execute("select event_ids[1]::text from cdc_state.runs where id = %s", (run,))
    (event,) = await cursor.fetchone() or ("",)
    return [f"/runs/{run}", f"/events/{event}", "/functions/welcome"]


async def _violations(page: Page, options: dict[str, Any]) -> list[tuple[str, list[Any]]]:
    """Rules that the page breaks, and where."""
    found = (await Axe().run(page, options=options)).response["violations"]
    return [(each["id"], [node["target"] for node in each["nodes"]]) for each in found]


async def _reads(dashboard: Dashboard, window: BrowserContext, address: str) -> None:
    page = await dashboard.page(window, address)
    assert await page.get_by_role("heading", level=1).inner_text()
    assert len(await page.get_by_role("main").inner_text()) > 40, address
    await page.close()
