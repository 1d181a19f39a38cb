// figures are drawn while the page is read, when their places are not yet as wide as they will be
const plots = () => Array.from(document.querySelectorAll(".js-plotly-plot"));
addEventListener("load", () => { plots().forEach((plot) => Plotly.Plots.resize(plot)); });
// what is wider than its box scrolls in it, and is a stop of the Tab key only where it does
const boxes = Array.from(document.querySelectorAll(".scroll, .wide"));
const mark = (box) => {
  const beyond = box.scrollWidth - box.clientWidth;
  box.classList.toggle("more", box.scrollLeft < beyond - 1);
  if (beyond > 1) { box.tabIndex = 0; } else { box.removeAttribute("tabindex"); }
};
const marks = new ResizeObserver((seen) => { seen.forEach((one) => mark(one.target.parentElement)); });
boxes.forEach((box) => {
  box.addEventListener("scroll", () => mark(box), { passive: true });
  marks.observe(box.firstElementChild);
});
addEventListener("resize", () => { boxes.forEach(mark); });
// a printed page has another width than the window; style.css prints figures at four fifths
const PAGE_PIXELS = 825;
// what is folded would be missing on paper, where nobody can open it
let opened = null;
addEventListener("beforeprint", () => {
  opened = Array.from(document.querySelectorAll("details:not([open])"));
  opened.forEach((part) => { part.open = true; });
  plots().forEach((plot) => Plotly.relayout(plot, { width: PAGE_PIXELS }));
});
addEventListener("afterprint", () => {
  opened.forEach((part) => { part.open = false; });
  opened = null;
  plots().forEach((plot) => Plotly.relayout(plot, { width: null, autosize: true }));
});
// a figure in a closed part of the page has no width until it is opened
document.querySelectorAll("details").forEach((part) => part.addEventListener("toggle", () => {
  if (!part.open || opened) { return; }
  part.querySelectorAll(".js-plotly-plot").forEach((plot) => Plotly.Plots.resize(plot));
}));
// the item browser: one article at a time, chosen by list or buttons
document.querySelectorAll(".browser").forEach((browser) => {
  const part = (name) => browser.querySelector(`[data-browser="${name}"]`);
  const [kind, item, place] = ["kind", "item", "place"].map(part);
  const articles = Array.from(browser.querySelectorAll("article"));
  const options = Array.from(item.options);
  const show = () => {
    articles.forEach((article, number) => { article.hidden = String(number) !== item.value; });
    place.textContent = `${item.selectedIndex + 1} of ${item.options.length}`;
    // a button that is disabled loses the focus
    part("-1").setAttribute("aria-disabled", item.selectedIndex === 0);
    part("1").setAttribute("aria-disabled", item.selectedIndex === item.options.length - 1);
  };
  kind.addEventListener("change", () => {
    item.replaceChildren(...options.filter((o) => !kind.value || o.dataset.kind === kind.value));
    item.selectedIndex = 0;
    show();
  });
  item.addEventListener("change", show);
  ["-1", "1"].forEach((step) => part(step).addEventListener("click", () => {
    const next = item.selectedIndex + Number(step);
    item.selectedIndex = Math.min(Math.max(next, 0), item.options.length - 1);
    show();
  }));
  show();
});
