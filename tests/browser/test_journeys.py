"""What people do on the dashboard, on a service that runs."""

from __future__ import annotations

import json
import re

import httpx
from playwright.async_api import Response, expect

from tests.browser.conftest import TOKEN, Dashboard
from tests.openai_server import REFUSED


async def test_nobody_looks_without_the_token(dashboard: Dashboard) -> None:
    window = await dashboard.browser.new_context(base_url=dashboard.service.url)
    page = await dashboard.page(window, "/runs?status=failed")
    await page.get_by_label("Token").fill("another")
    await page.get_by_role("button", name="Log in").click()
    await expect(page.get_by_role("alert")).to_be_visible()
    await page.get_by_label("Token").fill(TOKEN)
    await page.get_by_role("button", name="Log in").click()
    await page.wait_for_url("**/runs?status=failed")
    await expect(page.get_by_label("failed")).to_be_checked()
    await page.get_by_role("button", name="Sign out").click()
    await page.wait_for_url("**/login*")
    await page.goto("/overview")
    await expect(page.get_by_label("Token")).to_be_visible()


async def test_a_row_is_followed_from_its_event_to_the_end_of_its_run(dashboard: Dashboard) -> None:
    page = await dashboard.look("/events")
    await dashboard.conn.execute("insert into users (name, email) values ('Ada', 'ada@example.org')")
    await page.get_by_role("link", name="db/users.inserted").click()
    await expect(page.get_by_text("ada@example.org").first).to_be_visible()
    await page.get_by_role("link", name="welcome").first.click()
    await expect(page.get_by_text("completed").first).to_be_visible()
    await expect(page.get_by_text("a user came")).to_be_visible()
    await page.get_by_text("flaky", exact=True).click()
    await expect(page.get_by_text("RetryAfter: not yet")).to_be_visible()
    await page.get_by_text("summary", exact=True).click()
    await expect(page.get_by_role("region", name="Calls of models in summary")).to_contain_text("gpt-4o-mini")
    await page.goto("/ai")
    await page.get_by_role("region", name="Calls").get_by_role("link").first.click()
    await expect(page.get_by_role("heading", name="Prompt")).to_be_visible()
    await page.goto("/events?name=db/users.*&text=ada@example")
    await expect(page.get_by_role("link", name="db/users.inserted")).to_have_count(1)
    await page.goto("/events?name=db/users.*&text=nobody@example")
    await expect(page.get_by_role("link", name="db/users.inserted")).to_have_count(0)


async def test_a_link_that_is_pressed_stays_where_it_is(dashboard: Dashboard) -> None:
    await dashboard.conn.execute("insert into users (name) values ('Ada')")
    page = await dashboard.look("/events")
    link = page.get_by_role("link", name="db/users.inserted")
    await expect(link).to_be_visible()
    first = await link.get_attribute("href")
    async with page.expect_response(_with_two_events) as loaded_again:
        await link.hover()
        await page.mouse.down()
        await dashboard.conn.execute("insert into users (name) values ('Grace')")
    await (await loaded_again.value).finished()
    await page.evaluate("new Promise((go) => setTimeout(go, 300))")  # for what must not happen
    await expect(link).to_have_count(1)
    await page.mouse.up()
    await page.wait_for_url(f"**{first}")


async def test_an_update_shows_what_it_changed(dashboard: Dashboard) -> None:
    await dashboard.conn.execute("insert into users (name, email) values ('Ada', 'old@example.org')")
    await dashboard.conn.execute("update users set email = 'new@example.org'")
    page = await dashboard.look("/events")
    await page.get_by_role("link", name="db/users.updated").click()
    row = page.get_by_role("region", name="Columns of the row")
    await expect(row.get_by_role("row", name="email")).to_contain_text("old@example.org")
    await expect(row.get_by_role("row", name="email")).to_contain_text("new@example.org")


async def test_an_event_is_sent_by_hand_and_the_run_that_it_starts_cancelled(dashboard: Dashboard) -> None:
    page = await dashboard.look("/events/send")
    await page.get_by_label("Name").fill("app/order.made")
    await page.get_by_label("Data").fill("{not json")
    await page.get_by_role("button", name="Send event").click()
    await expect(page.get_by_label("Name")).to_have_value("app/order.made")
    await expect(page.get_by_label("Data")).to_have_attribute("aria-invalid", "true")
    await page.get_by_label("Data").fill('{"order": 7}')
    await page.get_by_role("button", name="Send event").click()
    await page.get_by_role("link", name="approve").first.click()
    await expect(page.get_by_text("waiting").first).to_be_visible()
    page.on("dialog", lambda dialog: dialog.accept())
    await page.get_by_role("button", name="Cancel run").click()
    await expect(page.get_by_text("cancelled").first).to_be_visible()


async def test_a_run_is_replayed_whole_and_from_a_step_with_another_input(dashboard: Dashboard) -> None:
    page = await dashboard.look("/runs")
    page.on("dialog", lambda dialog: dialog.accept())
    await dashboard.conn.execute("insert into users (name) values ('Ada')")
    await page.get_by_role("link", name="welcome").click()
    await expect(page.get_by_text("completed").first).to_be_visible()
    first = page.url
    await page.get_by_role("button", name="Replay", exact=True).click()
    await page.wait_for_url(_another(first))
    await expect(page.get_by_text("completed").first).to_be_visible()
    await page.goto(first)
    await page.get_by_text("summary", exact=True).click()
    summary = page.locator("details", has=page.get_by_text("summary", exact=True)).last
    await summary.get_by_text("Replay from here").click()
    asked = summary.get_by_label("Its input, as JSON")
    edited = await asked.input_value()
    assert "Hello, Ada!" in edited
    await asked.fill(edited.replace("Hello, Ada!", "Hello, Grace!"))
    await summary.get_by_role("button", name="Replay from this step").click()
    await page.wait_for_url(_another(first))
    await expect(page.get_by_text("completed").first).to_be_visible()
    await expect(page.get_by_role("region", name="Output of the run")).to_contain_text("Hello, Grace!")


async def test_a_function_is_paused_resumed_and_invoked(dashboard: Dashboard) -> None:
    page = await dashboard.look("/functions")
    page.on("dialog", lambda dialog: dialog.accept())
    await page.get_by_role("link", name="broken").click()
    await page.get_by_role("button", name="Pause").click()
    await expect(page.get_by_text("paused").first).to_be_visible()
    await page.get_by_role("button", name="Resume").click()
    await expect(page.get_by_role("button", name="Pause")).to_be_visible()
    await page.get_by_label("Data of its event").fill("[]")
    await page.get_by_role("button", name="Invoke").click()
    await expect(page.get_by_label("Data of its event")).to_have_attribute("aria-invalid", "true")
    await page.get_by_label("Data of its event").fill('{"n": 1}')
    await page.get_by_role("button", name="Invoke").click()
    # A page that is left while the form is on its way takes it along.
    await page.wait_for_url("**/functions/broken?done=invoke")
    await page.goto("/runs?status=failed")
    await page.get_by_role("link", name="broken").click()
    await expect(page.get_by_text("this <b>cannot</b> be").first).to_be_visible()


async def test_embeddings_are_searched_and_refused_texts_tried_again(dashboard: Dashboard) -> None:
    await dashboard.conn.execute("insert into documents (body) values ('Leaves in hot water'), (%s)", (REFUSED,))
    page = await dashboard.look("/embeddings")
    await expect(page.get_by_role("button", name="Try again")).to_be_visible()
    await page.get_by_role("button", name="Try again").click()
    await page.wait_for_url("**/embeddings?done=retry")
    await expect(page.get_by_text("These texts are tried again")).to_be_visible()
    await page.get_by_label("Words", exact=True).fill("tea")
    await page.get_by_role("button", name="Search").click()
    await expect(page.get_by_text("Leaves in hot water")).to_be_visible()


async def test_the_doctor_is_asked_from_the_page_of_replication(dashboard: Dashboard) -> None:
    page = await dashboard.look("/replication")
    await expect(page.get_by_text("listening")).to_be_visible()
    await expect(page.get_by_text("public.users", exact=True)).to_be_visible()
    await page.get_by_role("link", name="Run the doctor").click()
    await expect(page.get_by_role("cell", name="wal_level")).to_be_visible()


async def test_data_that_looks_like_markup_stays_text(dashboard: Dashboard) -> None:
    hostile = '<script>document.title="taken"</script><img src=x onerror=alert(1)>\u202egnp.exe'
    async with httpx.AsyncClient(base_url=dashboard.service.url, trust_env=False, timeout=60) as client:
        sent = await client.post("/e/any", json={"name": "app/broken", "data": {"text": hostile, "nul": "\0"}})
    (event,) = sent.json()["ids"]
    page = await dashboard.look(f"/events/{event}")
    await expect(page.get_by_role("region", name="Data of the event")).to_contain_text("onerror=alert(1)")
    await page.get_by_role("link", name="broken").first.click()
    await expect(page.get_by_text("failed").first).to_be_visible()
    assert await page.title() != "taken"
    assert await page.locator("img[onerror]").count() == 0
    assert json.loads((await _api(dashboard, f"/v1/events/{event}")).text)["data"]["data"]["text"] == hostile


async def _with_two_events(answer: Response) -> bool:
    return answer.url.endswith("/events") and (await answer.text()).count('href="/events/0') > 1


async def _api(dashboard: Dashboard, path: str) -> httpx.Response:
    return await dashboard.service.get(path, authorization=f"Bearer {TOKEN}")


def _another(url: str) -> re.Pattern[str]:
    """The page of another run than that at `url`."""
    return re.compile(rf"/runs/(?!{re.escape(url.rsplit('/', 1)[-1][:36])})[0-9a-f-]{{36}}")
