// What a page has wrong, as sentences: names, headings, labels, contrast. Run in the page.
() => {
  const wrong = [];
  const shown = (element) => element.checkVisibility() && !element.closest("[aria-hidden=true]");
  const what = (element) => element.outerHTML.slice(0, 120);

  const ids = [...document.querySelectorAll("[id]")].map((element) => element.id);
  for (const id of new Set(ids)) if (ids.filter((other) => other === id).length > 1) wrong.push(`two have the id ${id}`);
  if (!document.documentElement.lang) wrong.push("no language");
  if (document.querySelectorAll("main").length !== 1) wrong.push("not one main");
  if (document.querySelectorAll("h1").length !== 1) wrong.push("not one h1");

  let level = 1;
  for (const heading of [...document.querySelectorAll("h1, h2, h3, h4")].filter(shown)) {
    const own = Number(heading.tagName[1]);
    if (own > level + 1) wrong.push(`h${own} after h${level}: ${what(heading)}`);
    level = own;
  }
  for (const image of document.images) if (!image.hasAttribute("alt")) wrong.push(`no alt: ${what(image)}`);
  for (const image of document.images) {
    if (shown(image) && !image.alt) wrong.push(`a picture that nobody is told of: ${what(image)}`);
  }
  for (const each of [...document.querySelectorAll("a, button")].filter(shown)) {
    if (!each.textContent.trim() && !each.ariaLabel && !each.querySelector("img[alt]:not([alt=''])")) {
      wrong.push(`no name: ${what(each)}`);
    }
  }
  for (const field of document.querySelectorAll("input:not([type=hidden]), select")) {
    if (!field.labels.length && !field.ariaLabel) wrong.push(`no label: ${what(field)}`);
  }

  const context = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const colour = (css) => {
    context.clearRect(0, 0, 1, 1);
    context.fillStyle = css;
    context.fillRect(0, 0, 1, 1);
    return [...context.getImageData(0, 0, 1, 1).data];
  };
  const over = ([r, g, b, a], below) => [r, g, b].map((part, i) => (part * a + below[i] * (255 - a)) / 255);
  const backdrop = (element) => {
    if (!element) return colour(matchMedia("(prefers-color-scheme: dark)").matches ? "#121212" : "#fff");
    return over(colour(getComputedStyle(element).backgroundColor), backdrop(element.parentElement));
  };
  const light = (rgb) => {
    const [r, g, b] = rgb.map((part) => part / 255).map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  for (const element of [...document.querySelectorAll("body *")].filter(shown)) {
    const words = [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.textContent.trim());
    if (!words || element.closest("noscript, script, svg, option")) continue;
    const behind = backdrop(element);
    const style = getComputedStyle(element);
    const pair = [light(over(colour(style.color), behind)), light(behind)];
    const ratio = (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
    const large = parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.66 && style.fontWeight >= 700);
    if (ratio < (large ? 3 : 4.5)) wrong.push(`contrast ${ratio.toFixed(2)}: ${what(element)}`);
  }
  return wrong;
}
