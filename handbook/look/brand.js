// The name, logo and accent that an appliance was given, in place of Dash's: right after the header, before it is painted.
"use strict";
if (globalThis.given) {
  const { name, logo, dark, beside, tab, mark, style } = globalThis.given;
  const brand = document.querySelector(".brand");
  const [shown, words] = brand.children;
  words.firstChild.data = beside || !logo ? `${name} ` : "";
  words.dir = "auto";
  const image = (src, css) => Object.assign(document.createElement("img"), { src, className: css, alt: beside || !logo ? "" : name });
  if (logo === dark && logo) shown.replaceWith(image(logo, "logo"));
  else if (logo) shown.replaceWith(image(logo, "logo on-light"), image(dark, "logo on-dark"));
  else if (mark) shown.replaceChildren(image(mark, ""));
  document.title = document.title.replace(/Dash handbook$/, () => `${name} handbook`);
  document.querySelector("[data-appliance]").textContent = `Back to ${name}`;
  const icon = document.querySelector("link[rel=icon]");
  if (tab) Object.assign(icon, { href: tab }).removeAttribute("type");
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(style);
  document.adoptedStyleSheets = [sheet];
}
