// Comfort only: every page works without it.
"use strict";

const SHAPES = {
  clock: { hour: "2-digit", minute: "2-digit" },
  day: { weekday: "long", day: "numeric", month: "long" },
  moment: { weekday: "short", day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" },
};

// Times in the viewer's own zone; the title keeps the exact moment.
function localTimes(root) {
  for (const each of root.querySelectorAll("time[data-show]")) {
    const when = new Date(each.dateTime);
    const shape = SHAPES[each.dataset.show];
    if (!shape || Number.isNaN(when.getTime())) continue;
    // Below a heading that names a day, a time of another day says so.
    const day = each.dataset.day;
    const moved = day && day !== when.toLocaleDateString("sv");
    const asked = moved ? { ...shape, weekday: "short" } : shape;
    each.textContent = when.toLocaleString("en-GB", { ...asked, hourCycle: "h23" });
    each.title = when.toString();
  }
  for (const each of root.querySelectorAll("[data-zone]")) each.textContent = each.dataset.zone;
}

// A page with data-refresh (seconds) fetches itself and swaps its main part, unless in use.
function refresh(main) {
  const seconds = Number(main.dataset.refresh);
  if (!seconds) return;
  setInterval(async () => {
    const busy = document.hidden || main.querySelector(":focus, dialog[open], details[open]");
    if (busy) return;
    try {
      const answer = await fetch(location.href, { headers: { accept: "text/html" } });
      if (!answer.ok || answer.redirected) return;
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = page.querySelector("main");
      if (!fresh) return;
      localTimes(fresh);
      main.replaceChildren(...fresh.childNodes);
    } catch {
      // Offline for a moment; the next turn tries again.
    }
  }, seconds * 1000);
}

document.addEventListener("submit", (event) => {
  const question = event.target.dataset.confirm;
  if (question && !confirm(question)) event.preventDefault();
});

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const source = document.getElementById(button.dataset.copy);
  navigator.clipboard.writeText(source.value || source.textContent.trim());
  button.textContent = button.dataset.done;
});

for (const each of document.querySelectorAll("[data-copy]")) each.hidden = false;
localTimes(document);
refresh(document.querySelector("main"));
