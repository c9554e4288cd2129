// Runs in the page. Measures every visible line of text: is it cut off, does it lie on another one, is the page too wide?
() => {
  const found = [];
  const root = document.documentElement;
  if (root.scrollWidth > innerWidth) {
    const wide = [...document.querySelectorAll("main *, header *, nav *")].find((one) => one.getBoundingClientRect().right > innerWidth + 1);
    found.push(`sideways scroll: ${root.scrollWidth} px in ${innerWidth}, because of ${wide?.outerHTML.slice(0, 140)}`);
  }
  const named = (text) => `"${text.data.trim().slice(0, 40)}" in <${text.parentElement.localName} class="${text.parentElement.className}">`;
  const stacks = ["fixed", "sticky"];
  const layerOf = (element) => {
    for (let one = element; one !== null; one = one.parentElement)
      if (one.localName === "dialog" || one.classList.contains("popup") || stacks.includes(getComputedStyle(one).position)) return one;
    return null;
  };
  // what a person sees of a rectangle: inside all that cuts it off; `cut` is the first that hides some of it without a sign
  const seen = (rect, element) => {
    let [left, top, right, bottom] = [rect.left, rect.top, rect.right, rect.bottom];
    let cut = null;
    for (let one = element; one !== null && one !== document.body; one = one.parentElement) {
      const style = getComputedStyle(one);
      if (style.clipPath !== "none") return { empty: true };
      if (style.overflowX === "visible" && style.overflowY === "visible") continue;
      const box = one.getBoundingClientRect();
      const told = style.textOverflow === "ellipsis" || style.webkitLineClamp !== "none";
      const scrolls = [style.overflowX, style.overflowY].some((value) => value === "auto" || value === "scroll");
      const hidden = rect.left < box.left - 1 || rect.right > box.right + 1 || rect.top < box.top - 3 || rect.bottom > box.bottom + 3;
      if (hidden && !told && !scrolls) cut ??= one;
      if (told || scrolls) cut = null;
      [left, top, right, bottom] = [Math.max(left, box.left), Math.max(top, box.top), Math.min(right, box.right), Math.min(bottom, box.bottom)];
    }
    return { empty: right - left < 1 || bottom - top < 1, left, top, right, bottom, cut };
  };
  const open = document.querySelector("dialog[open]");
  const lines = [];
  const walker = document.createTreeWalker(open ?? document.body, NodeFilter.SHOW_TEXT);
  for (let text = walker.nextNode(); text !== null; text = walker.nextNode()) {
    const parent = text.parentElement;
    if (text.data.trim() === "" || parent.closest("noscript, script, svg") !== null || !parent.checkVisibility({ visibilityProperty: true })) continue;
    const range = document.createRange();
    range.selectNodeContents(text);
    const layer = layerOf(parent);
    for (const rect of range.getClientRects()) {
      const part = seen(rect, parent);
      if (part.empty && part.cut == null) continue;
      if (part.cut) {
        found.push(`cut off: ${named(text)}, by <${part.cut.localName} class="${part.cut.className}">`);
        break;
      }
      if (part.right > innerWidth + 1 && layer === null && root.scrollWidth <= innerWidth) found.push(`beyond the edge: ${named(text)}`);
      lines.push({ text, layer, ...part });
    }
    if (lines.length > 4000) break;
  }
  lines.sort((a, b) => a.top - b.top);
  for (let index = 0; index < lines.length; index += 1)
    for (let next = index + 1; next < lines.length && lines[next].top < lines[index].bottom - 3; next += 1) {
      const [a, b] = [lines[index], lines[next]];
      const across = Math.min(a.right, b.right) - Math.max(a.left, b.left);
      const down = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
      if (a.text !== b.text && a.layer === b.layer && across > 2 && down > 3) found.push(`on each other: ${named(a.text)} and ${named(b.text)}`);
    }
  return [...new Set(found)].slice(0, 12);
}
