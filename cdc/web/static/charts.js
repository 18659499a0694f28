// What a plot says of a moment, at once and beside the pointer; without JavaScript the browser shows it after a while.

const tip = document.createElement("div");
tip.className = "tip";
tip.hidden = true;
tip.setAttribute("aria-hidden", "true"); // the same figures are in the table below each plot
document.body.append(tip);

let over, title; // the title is taken out meanwhile: the browser would show it, too

function leave() {
  if (title) over.append(title);
  over = title = undefined;
  tip.hidden = true;
}

document.addEventListener("pointerover", (event) => {
  const step = event.target.closest?.(".hits rect");
  if (step === over) return;
  leave();
  title = step?.querySelector("title");
  if (!title) return void (title = undefined);
  over = step;
  const [when, ...figures] = title.textContent.split("\n");
  const head = document.createElement("b");
  head.textContent = when;
  tip.replaceChildren(head, ...figures.map((figure) => {
    const line = document.createElement("div");
    line.textContent = figure;
    return line;
  }));
  title.remove();
  tip.hidden = false;
});

document.addEventListener("pointermove", (event) => {
  if (tip.hidden) return;
  const { width, height } = tip.getBoundingClientRect();
  const x = Math.min(event.clientX + 14, innerWidth - width - 8);
  const y = event.clientY - height - 12;
  tip.style.translate = `${Math.max(8, x)}px ${y < 8 ? event.clientY + 18 : y}px`;
});

document.addEventListener("scroll", leave, { capture: true, passive: true });
