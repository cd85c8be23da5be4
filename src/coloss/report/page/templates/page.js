"use strict";
(() => {
  const root = document.documentElement;
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const themeButton = document.getElementById("theme");

  // --- light and dark: the system's choice until the reader makes one.
  const isDark = () =>
    root.dataset.theme ? root.dataset.theme === "dark" : dark.matches;
  const showTheme = () => themeButton.setAttribute("aria-pressed", String(isDark()));
  themeButton.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    try { localStorage.setItem("coloss-theme", root.dataset.theme); } catch (_) {}
    showTheme();
  });
  dark.addEventListener("change", showTheme);
  showTheme();

  // --- all tables at once, also for print.
  const numbersButton = document.getElementById("numbers");
  numbersButton.addEventListener("click", () => {
    const open = numbersButton.getAttribute("aria-pressed") !== "true";
    numbersButton.setAttribute("aria-pressed", String(open));
    document.querySelectorAll("details.behind").forEach((one) => { one.open = open; });
  });
  document.getElementById("print").addEventListener("click", () => window.print());

  // --- figures: drawn when they come into view, so that a long page opens at once.
  const settings = { responsive: true, displayModeBar: false, displaylogo: false };
  const drawn = new Map();
  const draw = (place) => {
    if (!drawn.has(place.id)) {
      const source = document.querySelector(`script[data-figure="${place.id}"]`);
      const figure = JSON.parse(source.textContent);
      drawn.set(place.id, Plotly.newPlot(place, figure.data, figure.layout, settings));
    }
    return drawn.get(place.id);
  };
  const places = [...document.querySelectorAll(".plot")];
  const drawAll = () => Promise.all(places.map(draw));
  const watcher = new IntersectionObserver((entries) => {
    entries.filter((entry) => entry.isIntersecting).forEach((entry) => {
      watcher.unobserve(entry.target);
      draw(entry.target);
    });
  }, { rootMargin: "600px" });
  places.forEach((place) => watcher.observe(place));

  document.querySelectorAll("button[data-log]").forEach((button) => {
    button.addEventListener("click", () => {
      const on = button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", String(on));
      const place = document.getElementById(button.dataset.log);
      draw(place).then(() =>
        Plotly.relayout(place, { "yaxis.type": on ? "log" : "linear" }));
    });
  });

  // --- paper is narrower than a window, and everything must be on it.
  window.addEventListener("beforeprint", () => {
    places.forEach((place) => {
      draw(place);
      const width = Math.min(place.clientWidth, 640);
      Plotly.relayout(place, { width, autosize: false });
    });
  });
  window.addEventListener("afterprint", () => {
    places.forEach((place) => Plotly.relayout(place, { width: null, autosize: true }));
  });
  window.colossDrawAll = drawAll;
})();
