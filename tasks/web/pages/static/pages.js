"use strict";
// Keeps a page up to date: asks for it again, and replaces what is inside of each data-live where it is different.
(() => {
  const live = document.getElementById("live");
  if (!live) return;
  const LONGEST_SECONDS = 60;
  let tag = "";
  let failures = 0;
  let timer = 0;

  const every = () => {
    const seconds = Number(live.querySelector("[data-every]")?.dataset.every ?? LONGEST_SECONDS);
    return Math.min(seconds * 2 ** failures, Math.max(seconds, LONGEST_SECONDS));
  };

  // A card that has not changed stays as it is, with the picture that it has loaded.
  const kept = (node, old) => (node.id && old.get(node.id)?.outerHTML === node.outerHTML ? old.get(node.id) : node);

  const fill = (region, fresh) => {
    if (region.innerHTML === fresh.innerHTML) return;
    const old = new Map([...region.children].map((child) => [child.id, child]));
    region.replaceChildren(...[...fresh.childNodes].map((node) => kept(node, old)));
  };

  const show = (html) => {
    const fresh = new DOMParser().parseFromString(html, "text/html");
    const focused = document.activeElement?.id;
    for (const region of live.querySelectorAll("[data-live]")) {
      const found = fresh.getElementById(region.id);
      if (found) fill(region, found);
    }
    const told = fresh.querySelector("[data-every]");
    if (told) live.querySelector("[data-every]").dataset.every = told.dataset.every;
    if (focused && document.activeElement?.id !== focused) {
      document.getElementById(focused)?.focus({ preventScroll: true });
    }
  };

  const look = async () => {
    try {
      const headers = tag ? { "If-None-Match": tag } : {};
      const answer = await fetch(live.dataset.source, { headers, credentials: "same-origin", cache: "no-store" });
      if (answer.redirected || answer.status === 401 || answer.status === 403) {
        location.reload(); // signed out: the page itself leads to where one signs in
        return;
      }
      if (answer.status !== 304) {
        if (!answer.ok) throw new Error(answer.statusText);
        show(await answer.text());
        tag = answer.headers.get("ETag") ?? "";
      }
      failures = 0;
    } catch {
      failures += 1;
    }
    plan();
  };

  const plan = () => {
    clearTimeout(timer);
    if (!document.hidden) timer = setTimeout(look, every() * 1000);
  };

  document.addEventListener("visibilitychange", () => {
    clearTimeout(timer);
    if (!document.hidden) look();
  });
  plan();

  // j and k go from one picture, or batch, to the next.
  document.addEventListener("keydown", (event) => {
    const step = { j: 1, k: -1 }[event.key];
    if (!step || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target instanceof HTMLInputElement || event.target instanceof HTMLSelectElement) return;
    const links = [...document.querySelectorAll(".card h3 a, .batches h2 a")];
    const next = links.indexOf(document.activeElement) + step;
    links[Math.max(0, Math.min(next, links.length - 1))]?.focus();
  });
})();
