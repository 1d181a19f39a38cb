// figures are drawn while the page is read, when their places are not yet as wide as they will be
const plots = () => Array.from(document.querySelectorAll(".js-plotly-plot"));
addEventListener("load", () => { plots().forEach((plot) => Plotly.Plots.resize(plot)); });
// a printed page has another width than the window
const PAGE_PIXELS = 660;
addEventListener("beforeprint", () => {
  plots().forEach((plot) => Plotly.relayout(plot, { width: PAGE_PIXELS }));
});
addEventListener("afterprint", () => {
  plots().forEach((plot) => Plotly.relayout(plot, { width: null, autosize: true }));
});
// a figure in a closed part of the page has no width until it is opened
document.querySelectorAll("details").forEach((part) => part.addEventListener("toggle", () => {
  part.querySelectorAll(".js-plotly-plot").forEach((plot) => Plotly.Plots.resize(plot));
}));
