// Before the first paint, so that no page flashes in the wrong theme. The cookie is that of the screens.
(() => {
  const choice = (document.cookie.match(/(?:^|; )dash_theme=(\w+)/) || [])[1] || "auto";
  const dark = choice === "dark" || (choice !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
  document.documentElement.dataset.choice = choice;
  document.documentElement.dataset.theme = dark ? "dark" : "light";
})();
