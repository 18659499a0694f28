"""The dashboard of a service that runs, in a real browser.

browser     Chromium
dashboard   a service with a token, the functions of `programs.SHOWN`, and tables of users and documents; what the
            browser complains of must be nothing at the end
"""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, async_playwright, expect

from tests.acceptance.service import Service, running
from tests.ai_server import AIServer
from tests.browser.programs import SHOWN, TABLES
from tests.servers import Connect, Connection

expect.set_options(timeout=60_000)

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")

REFUSED_FORM = re.compile(r"status of (400|403) ")
"""A browser complains of these answers; people are told beside the field."""

TOKEN = "a-token-that-only-tests-know"


@dataclass(frozen=True, slots=True)
class Dashboard:
    """A service, a connection to its database, and a browser to look at it with."""

    service: Service
    conn: Connection
    browser: Browser
    complaints: list[str] = field(default_factory=list)

    async def signed_in(self, **options: Any) -> BrowserContext:
        """A window whose pages need not sign in any more; options as Playwright's `new_context` takes them."""
        context = await self.browser.new_context(base_url=self.service.url, **options)
        page = await self.page(context, "/login")
        await page.get_by_label("Token").fill(TOKEN)
        await page.get_by_role("button", name="Log in").click()
        await page.wait_for_url("**/overview")
        await page.close()
        return context

    async def page(self, context: BrowserContext, path: str) -> Page:
        """A page of a window; what it complains of is kept."""
        context.set_default_timeout(60_000)
        page = await context.new_page()
        page.on("console", lambda message: self._hear(message))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        await page.goto(path)
        return page

    async def look(self, path: str, **options: Any) -> Page:
        """A page in a window of its own."""
        return await self.page(await self.signed_in(**options), path)

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(f"{message.text} {message.location['url']}")


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"], timeout=60_000)
        yield browser
        await browser.close()


@pytest.fixture
async def dashboard(browser: Browser, connect: Connect, database_url: str, tmp_path: Path) -> AsyncIterator[Dashboard]:
    conn = await connect(database_url)
    await conn.execute(TABLES)
    (tmp_path / "shown.py").write_text(dedent(SHOWN))
    async with (
        AIServer() as provider,
        running(
            DATABASE_URL=database_url,
            CDC_FUNCTIONS=tmp_path,
            CDC_DASHBOARD_TOKEN=TOKEN,
            CDC_EMBED="documents(body)",
            OPENAI_API_KEY="sk-of-the-test",
            OPENAI_BASE_URL=provider.url,
        ) as service,
    ):
        dashboard = Dashboard(service, conn, browser)
        yield dashboard
        assert [each for each in dashboard.complaints if not REFUSED_FORM.search(each)] == []
