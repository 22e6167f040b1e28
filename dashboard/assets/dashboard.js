// The browser's side: keeps choices in the address, pauses hidden pages, saves figures and switches
// the theme.
"use strict";

window.dash_clientside = window.dash_clientside || {};
window.dash_clientside.dashboard = {
  // Sets the controls from the address, once. A list without options as yet is given the chosen
  // one, or it would drop it.
  restore: (search, defaults) => {
    const chosen = new URLSearchParams(search);
    const values = Object.entries(defaults).map(([name, value]) => {
      if (!chosen.has(name)) return value;
      const text = chosen.get(name);
      return Array.isArray(value) ? text.split(",").filter((item) => value.includes(item)) : text;
    });
    return [...values, ...["snapshot", "method", "task"].map((name) => (chosen.has(name) ? [chosen.get(name)] : []))];
  },

  // Writes the controls to the address, and so to the server with the next refresh.
  remember: (...values) => {
    const defaults = values.pop();
    const query = new URLSearchParams();
    Object.entries(defaults).forEach(([name, value], index) => {
      const chosen = values[index];
      const same = JSON.stringify(chosen ?? null) === JSON.stringify(value ?? null);
      if (!same && chosen !== null && chosen !== undefined && String(chosen) !== "") {
        // In the order of the runs, not of the clicks.
        query.set(name, Array.isArray(value) ? value.filter((item) => chosen.includes(item)).join(",") : chosen);
      }
    });
    const text = query.toString();
    window.history.replaceState(window.history.state, "", text ? `?${text}` : window.location.pathname);
    document.documentElement.dataset.tab = values[0];
    // Charts of the tab that appears take its width.
    window.setTimeout(() => window.dispatchEvent(new Event("resize")), 0);
    // A projector's window has larger text; charts should match.
    return [text, Math.round(0.86 * parseFloat(getComputedStyle(document.documentElement).fontSize))];
  },

  // A hidden page pauses. A page whose server is gone says so, or it would seem up to date.
  tick: (intervals) => {
    if (document.hidden) return window.dash_clientside.no_update;
    const lost = (gone) => document.documentElement.toggleAttribute("data-lost", gone);
    fetch("alive").then((answer) => lost(!answer.ok), () => lost(true));
    return intervals;
  },

  // A new figure of the same thing keeps the reader's zoom. Dash writes the zoom into the figure,
  // so plotly, which would otherwise keep it, takes it for the figure's own.
  draw: (figure, shown) => {
    if (!figure || !shown || !shown.layout || shown.layout.uirevision !== figure.layout.uirevision) return figure;
    const layout = { ...figure.layout };
    for (const [name, axis] of Object.entries(shown.layout)) {
      if (/^[xy]axis/.test(name) && layout[name] && axis.autorange === false && axis.range) {
        layout[name] = { ...layout[name], range: axis.range, autorange: false };
      }
    }
    return { ...figure, layout };
  },

  open_task: (click) => {
    const point = click && click.points && click.points[0];
    return point && point.customdata !== undefined ? String(point.customdata) : window.dash_clientside.no_update;
  },
};

const theme = () => document.documentElement.dataset.theme || (window.matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");

const saved = window.localStorage.getItem("theme");
if (saved) document.documentElement.dataset.theme = saved;

const savePicture = (name, format) => {
  const graph = document.querySelector(`#graph-${name} .js-plotly-plot`);
  if (!graph) return;
  const style = getComputedStyle(document.getElementById("page"));
  const layout = JSON.parse(JSON.stringify(graph.layout));
  layout.paper_bgcolor = style.getPropertyValue("--card").trim();
  layout.font = { ...layout.font, color: style.getPropertyValue("--ink").trim() };
  const size = { width: graph.clientWidth, height: graph.clientHeight, scale: format === "png" ? 2 : 1 };
  window.Plotly.downloadImage({ data: graph.data, layout }, { format, filename: name, ...size });
};

// Starts all films of a task together, so that methods can be compared.
const play = (group) => {
  const films = [...group.querySelectorAll("video")];
  const start = films.every((film) => film.paused);
  for (const film of films) {
    if (start) {
      film.currentTime = 0;
      film.play().catch(() => {}); // the page may be closed meanwhile
    } else {
      film.pause();
    }
  }
  group.querySelector(".play").textContent = start ? "❚❚ Pause" : "▶ Play";
};

document.addEventListener("click", (event) => {
  const group = event.target.closest(".film-group");
  if (group && event.target.closest("video, .play")) play(group);
  const button = event.target.closest("button");
  if (!button) return;
  if (button.id === "theme") {
    document.documentElement.dataset.theme = theme() === "dark" ? "light" : "dark";
    window.localStorage.setItem("theme", document.documentElement.dataset.theme);
    return;
  }
  const [, format, name] = button.id.match(/^save-(csv|png|svg)-(.+)$/) || [];
  if (format === "csv") window.location.assign(`tables/${name}.csv${window.location.search}`);
  else if (format) savePicture(name, format);
});
