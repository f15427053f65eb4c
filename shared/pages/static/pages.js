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

// Sections of UTC days become sections of the viewer's days; a line begins with its start.
function ownDays(root) {
  const given = [...root.querySelectorAll("section[data-day]")];
  const days = new Map();
  for (const line of given.flatMap((each) => [...each.querySelectorAll("li.meeting")])) {
    const start = line.querySelector("time");
    const day = new Date(start.dateTime).toLocaleDateString("sv");
    if (!days.has(day)) days.set(day, { start, lines: [] });
    days.get(day).lines.push(line);
  }
  const own = [...days].map(([day, { start, lines }]) => {
    const section = given[0].cloneNode(true);
    const heading = section.querySelector("h2");
    heading.id = `day-${day}`;
    heading.querySelector("time").dateTime = start.dateTime;
    section.setAttribute("aria-labelledby", heading.id);
    section.querySelector("ol").replaceChildren(...lines);
    return section;
  });
  for (const each of given.slice(1)) each.remove();
  if (own.length) given[0].replaceWith(...own);
}

// A page with data-refresh (seconds) fetches itself and swaps its main part, unless in use.
function refresh(main) {
  const seconds = Number(main.dataset.refresh);
  if (!seconds) return;
  const timer = setInterval(async () => {
    const busy = document.hidden || main.querySelector(":focus, dialog[open], details[open]");
    if (busy) return;
    try {
      const answer = await fetch(location.href, { headers: { accept: "text/html" } });
      if (!answer.ok || answer.redirected) return;
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = page.querySelector("main");
      if (!fresh) return;
      ownDays(fresh);
      localTimes(fresh);
      if (!fresh.dataset.refresh) clearInterval(timer);
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
ownDays(document);
localTimes(document);
refresh(document.querySelector("main"));
