"use strict";
(() => {
  const cards = [...document.querySelectorAll(".card")];
  const chips = [...document.querySelectorAll("[data-filter]")];
  const search = document.getElementById("search");
  const shown = document.querySelector(".shown");
  const nothing = document.getElementById("nothing");
  let state = "";

  const show = () => {
    const words = search.value.trim().toLowerCase();
    let count = 0;
    for (const card of cards) {
      const fits = (!state || card.dataset.state === state) && card.dataset.key.includes(words);
      card.hidden = !fits;
      count += fits;
    }
    for (const chip of chips) chip.setAttribute("aria-pressed", String(chip.dataset.filter === state));
    const narrowed = state || words;
    shown.textContent = narrowed
      ? shown.dataset.text.replace("{shown}", count).replace("{total}", cards.length)
      : "";
    nothing.hidden = count > 0 || cards.length === 0;
    const asked = new URLSearchParams();
    if (state) asked.set("state", state);
    if (words) asked.set("sku", words);
    history.replaceState(null, "", narrowed ? "#" + asked : location.pathname + location.search);
  };

  // A link may carry the view: index.html#state=failed&sku=ab-12
  const restore = () => {
    const asked = new URLSearchParams(location.hash.slice(1));
    state = chips.some((chip) => chip.dataset.filter === asked.get("state")) ? asked.get("state") : "";
    search.value = asked.get("sku") ?? "";
    if (state || search.value) show();
  };

  for (const chip of chips) {
    chip.addEventListener("click", () => {
      state = chip.dataset.filter === state ? "" : chip.dataset.filter;
      show();
    });
  }
  for (const button of document.querySelectorAll("[data-find]")) {
    button.addEventListener("click", () => {
      state = "";
      search.value = button.dataset.find;
      show();
      document.querySelector(".toolbar").scrollIntoView({ block: "start" });
    });
  }
  search.addEventListener("input", show);
  document.addEventListener("keydown", (event) => {
    const typing = event.target instanceof HTMLInputElement;
    if (event.key === "/" && !typing) {
      event.preventDefault();
      search.focus();
    } else if (event.key === "Escape" && (state || search.value)) {
      state = "";
      search.value = "";
      show();
    }
  });
  addEventListener("hashchange", restore);
  restore();
})();
