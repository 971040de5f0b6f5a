// Live values, ages and refreshed parts of a page. Without it every page still shows what was so when it was loaded.
"use strict";
(() => {
  const offline = document.getElementById("offline");
  const troubles = new Set();
  let drift = 0;

  function trouble(key, there) {
    if (there) troubles.add(key); else troubles.delete(key);
    offline.textContent = troubles.size ? document.body.dataset.offline : "";
    offline.hidden = !troubles.size;
    document.body.classList.toggle("offline", troubles.size > 0);
  }

  function ageText(seconds) {
    if (seconds < 120) return Math.max(Math.floor(seconds), 0) + " s";
    if (seconds < 7200) return Math.floor(seconds / 60) + " min";
    if (seconds < 172800) return Math.floor(seconds / 3600) + " h";
    return Math.floor(seconds / 86400) + " d";
  }

  function tick() {
    const now = Date.now() + drift;
    for (const element of document.querySelectorAll("[data-t]")) {
      const at = Number(element.dataset.t);
      const text = at ? ageText((now - at) / 1000) : "–";
      if (element.textContent !== text) element.textContent = text;
    }
  }

  // rows: [id, text, class, words, ms] of a changed value, [id, ms] of one that was read again
  function show(area, rows) {
    let newest = 0;
    for (const row of rows) {
      const ms = row[row.length - 1];
      newest = Math.max(newest, ms);
      for (const element of area.querySelectorAll(`[data-p="${CSS.escape(row[0])}"]`)) {
        const age = element.querySelector("[data-t]");
        if (age) age.dataset.t = ms;
        if (row.length < 5) continue;
        const value = element.querySelector("[data-v]");
        if (value.textContent !== row[1]) value.textContent = row[1];
        const quality = element.querySelector("[data-q]");
        if (quality) quality.textContent = row[3];
        for (const name of ["good", "doubtful", "bad", "none"]) {
          element.classList.toggle("q-" + name, name === row[2]);
          if (element.tagName === "LI") element.classList.toggle(name, name === row[2]);
        }
      }
    }
    // a browser whose clock is behind must not show ages below zero
    if (newest > Date.now() + drift) drift = newest - Date.now();
    tick();
  }

  function live(area) {
    let source = null;
    let again = 0;
    function open() {
      if (source || document.hidden) return;
      source = new EventSource(area.dataset.live);
      source.onmessage = (event) => { trouble("live", false); show(area, JSON.parse(event.data)); };
      source.onopen = () => trouble("live", false);
      source.onerror = () => {
        trouble("live", true);
        if (source && source.readyState === EventSource.CLOSED) { close(); clearTimeout(again); again = setTimeout(open, 5000); }
      };
    }
    function close() { if (source) { source.close(); source = null; } }
    document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
    addEventListener("pagehide", close);
    addEventListener("pageshow", open);
    open();
  }

  async function refresh(parts) {
    if (document.hidden) return;
    try {
      const answer = await fetch(location.href.split("#")[0], { headers: { "X-Fragment": "1" }, signal: AbortSignal.timeout(8000) });
      if (!answer.ok) throw new Error(String(answer.status));
      const found = new DOMParser().parseFromString(await answer.text(), "text/html");
      for (const part of parts) {
        const fresh = found.getElementById(part.id);
        if (!fresh || fresh.innerHTML === part.innerHTML) continue;
        const focused = part.contains(document.activeElement) ? document.activeElement : null;
        const scrolled = [...part.querySelectorAll(".scroll")].map((box) => box.scrollLeft);
        if (focused && focused.matches("input, select, button")) continue;
        const href = focused && focused.getAttribute("href");
        part.replaceChildren(...fresh.childNodes);
        [...part.querySelectorAll(".scroll")].forEach((box, at) => { box.scrollLeft = scrolled[at] || 0; });
        if (href) { const same = part.querySelector(`[href="${CSS.escape(href)}"]`); if (same) same.focus(); }
      }
      trouble("refresh", false);
    } catch {
      trouble("refresh", true);
    }
    tick();
  }

  // pictures: what was under the pointer or the arrow keys, and a span chosen by dragging; in units of the picture
  const WIDE = 1000;
  let drag = null;

  const pictureOf = (target) => (target instanceof Element ? target.closest("svg[data-chart]") : null);
  const dataOf = (picture) => (picture.chartData ||= JSON.parse(picture.dataset.chart));
  const stampOf = (ms) => new Date(ms).toISOString().slice(0, 19);

  function unitsOf(picture, event) {
    const box = picture.getBoundingClientRect(), data = dataOf(picture);
    return Math.min(Math.max(((event.clientX - box.left) / box.width) * WIDE, data.left), data.right);
  }

  function momentOf(picture, x) {
    const data = dataOf(picture);
    return data.begin + ((x - data.left) / (data.right - data.left)) * (data.end - data.begin);
  }

  function nearest(rows, ms) {
    let best = null;
    for (const row of rows) if (!best || Math.abs(row[0] - ms) < Math.abs(best[0] - ms)) best = row;
    return best;
  }

  function read(picture, x) {
    const data = dataOf(picture), ms = momentOf(picture, x);
    const cursor = picture.querySelector(".cursor");
    cursor.setAttribute("x1", x);
    cursor.setAttribute("x2", x);
    picture.cursorAt = x;
    const words = data.lines.map((line) => {
      const row = nearest(line.read, ms);
      return row ? `${line.name} ${row[1]} ${line.unit} (${stampOf(row[0]).slice(11)})` : line.name;
    });
    const out = picture.closest("section").querySelector("[data-readout]");
    out.textContent = `${stampOf(ms).replace("T", " ")} UTC · ${words.join(" · ")}`;
  }

  function pick(picture, from, to) {
    const box = picture.querySelector(".pick");
    box.setAttribute("x", Math.min(from, to));
    box.setAttribute("width", Math.abs(to - from));
  }

  addEventListener("pointerdown", (event) => {
    const picture = pictureOf(event.target);
    if (picture && event.button === 0) drag = { picture, from: unitsOf(picture, event) };
  });
  addEventListener("pointermove", (event) => {
    const picture = drag ? drag.picture : pictureOf(event.target);
    if (!picture) return;
    const x = unitsOf(picture, event);
    read(picture, x);
    if (drag) pick(picture, drag.from, x);
  });
  addEventListener("pointerup", (event) => {
    if (!drag) return;
    const { picture, from } = drag, to = unitsOf(drag.picture, event);
    drag = null;
    pick(picture, 0, 0);
    if (Math.abs(to - from) < 8) return;
    const address = new URL(location.href);
    address.searchParams.delete("span");
    address.searchParams.set("begin", stampOf(momentOf(picture, Math.min(from, to))));
    address.searchParams.set("end", stampOf(momentOf(picture, Math.max(from, to)) + 999));
    location.assign(address);
  });
  addEventListener("pointercancel", () => { if (drag) pick(drag.picture, 0, 0); drag = null; });
  addEventListener("keydown", (event) => {
    const picture = pictureOf(event.target), step = { ArrowLeft: -9, ArrowRight: 9 }[event.key];
    if (!picture || !step) return;
    event.preventDefault();
    const data = dataOf(picture);
    read(picture, Math.min(Math.max((picture.cursorAt ?? data.right) + step, data.left), data.right));
  });

  // on a phone the menu is wider than the screen
  const here = document.querySelector("nav [aria-current]");
  if (here) here.scrollIntoView({ inline: "center", block: "nearest" });

  for (const area of document.querySelectorAll("[data-live]")) live(area);
  const parts = [...document.querySelectorAll("[data-refresh]")];
  if (parts.length) {
    const every = Math.min(...parts.map((part) => Number(part.dataset.refresh))) * 1000;
    let busy = false;
    setInterval(async () => { if (!busy) { busy = true; await refresh(parts); busy = false; } }, every);
  }
  // "/" goes to the search field
  addEventListener("keydown", (event) => {
    if (event.key === "/" && !event.target.matches("input, select, textarea")) {
      const field = document.querySelector("input[type=search]");
      if (field) { event.preventDefault(); field.focus(); field.select(); }
    }
  });
  setInterval(tick, 1000);
})();
