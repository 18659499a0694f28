// What makes pages pleasant where JavaScript runs. Everything works without.

// --- a page that changes by itself ---------------------------------------------------------------------------------
// The server says that there is more to see (GET /live); the page is loaded again, and its [data-live] parts are made
// what they are now, node by node: what is open, focused, scrolled or selected stays so.

const topic = document.body.dataset.topic;
const dot = document.getElementById("live");
let source, loading, again, shown = false;

function listen() {
  source = new EventSource(`/live?topic=${encodeURIComponent(topic)}`);
  source.onopen = () => tell("live", "Live: this page follows what happens");
  source.onmessage = refresh;
  source.onerror = () => {
    tell("lost", "Connecting again …");
    if (source.readyState === EventSource.CLOSED) setTimeout(attend, 10_000);
  };
}

function attend() {
  source?.close();
  source = undefined;
  if (document.hidden) tell("paused", "Paused while the page is hidden");
  else listen();
}

function tell(state, text) {
  dot.hidden = false;
  dot.dataset.state = state;
  dot.title = dot.firstElementChild.textContent = text;
}

async function refresh() {
  if (loading) return void (again = true);
  loading = true;
  try {
    do {
      again = false;
      const answer = await fetch(location.href, { cache: "no-store", redirect: "error" });
      const page = answer.ok && new DOMParser().parseFromString(await answer.text(), "text/html");
      await unpressed();
      if (page) replace(page);
    } while (again);
  } catch {
    tell("lost", "The page could not be loaded again");
  } finally {
    loading = false;
  }
}

// A link that moves away between press and release is not followed: nothing changes meanwhile.

let pressed = false;
addEventListener("pointerdown", ({ button }) => (pressed = button === 0));
for (const end of ["pointerup", "pointercancel", "contextmenu", "blur"])
  addEventListener(end, () => setTimeout(() => (pressed = false))); // after the click, which comes with the release

async function unpressed() {
  while (pressed) await new Promise((go) => setTimeout(go, 50));
}

function replace(page) {
  for (const old of document.querySelectorAll("[data-live]")) {
    const now = page.getElementById(old.id);
    if (now) become(old, now);
  }
  shown = true; // what comes from now on is new to who looks
  tick();
}

function become(old, now) {
  if (old.isEqualNode(now) || (old.localName === "form" && old.contains(document.activeElement))) return;
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.nodeValue !== now.nodeValue) old.nodeValue = now.nodeValue;
    return;
  }
  for (const { name } of [...old.attributes])
    if (!now.hasAttribute(name) && !(name === "open" || name === "class")) old.removeAttribute(name);
  for (const { name, value } of now.attributes)
    if (name !== "open" && old.getAttribute(name) !== value) old.setAttribute(name, value);
  const known = new Map([...old.children].filter((child) => child.id).map((child) => [child.id, child]));
  let place = old.firstChild;
  for (const next of [...now.childNodes]) {
    const same = next.id ? known.get(next.id) : place && isAlike(place, next) ? place : null;
    if (!same) {
      old.insertBefore(next, place);
      if (shown && next.id) next.classList.add("new");
      continue;
    }
    if (same === place) place = place.nextSibling;
    else old.insertBefore(same, place);
    become(same, next);
  }
  while (place) {
    const next = place.nextSibling;
    place.remove();
    place = next;
  }
}

const isAlike = (one, other) => one.nodeName === other.nodeName && !one.id && !other.id;

if (topic && dot) {
  document.addEventListener("visibilitychange", attend);
  addEventListener("pagehide", () => source?.close());
  attend();
}

// --- times that go on ------------------------------------------------------------------------------------------------

function words(seconds) {
  for (const [large, small, names] of [[86400, 3600, "dh"], [3600, 60, "hm"], [60, 1, "ms"]])
    if (seconds >= large) return `${Math.floor(seconds / large)}${names[0]} ${Math.floor((seconds % large) / small)}${names[1]}`;
  return `${seconds} s`;
}

function tick() {
  for (const time of document.querySelectorAll("time[data-ago]")) {
    const seconds = (Date.now() - Date.parse(time.dateTime)) / 1000;
    const text = Math.abs(seconds) < 1 ? "now" : words(Math.floor(Math.abs(seconds)));
    const said = text === "now" ? text : seconds > 0 ? `${text} ago` : `in ${text}`;
    if (time.textContent !== said) time.textContent = said;
  }
}
setInterval(() => document.hidden || tick(), 1000);

// --- filters: fields of one's own are shown when they are chosen -------------------------------------------------------

document.querySelector("select[data-shows]")?.addEventListener("change", ({ target }) => {
  for (const field of document.querySelectorAll(target.dataset.shows)) field.toggleAttribute("data-shown", target.value === "custom");
});

// --- questions before something is done, and what can be copied --------------------------------------------------------

document.addEventListener("submit", (event) => {
  const question = event.target.dataset.confirm;
  if (question && !confirm(question)) event.preventDefault();
});

if (navigator.clipboard) document.documentElement.dataset.copies = ""; // only then are the buttons shown
document.addEventListener("click", async (event) => {
  const button = event.target.closest?.("button[data-copy]");
  if (!button) return;
  await navigator.clipboard.writeText(button.dataset.copy);
  button.dataset.state = "copied";
  setTimeout(() => delete button.dataset.state, 1500);
});
