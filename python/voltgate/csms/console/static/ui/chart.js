// Charts are loaded when one is opened: uPlot is a third of everything else.
import { html, useEffect, useRef } from "./html.js";

const base = new URL("..", import.meta.url).pathname;
let loading = null;

async function load() {
  const style = Object.assign(document.createElement("link"), {
    rel: "stylesheet",
    href: `${base}vendor/uplot.css`,
  });
  document.head.append(style);
  return (await import("../vendor/uplot.js")).uPlot;
}

/** The colour that a custom property of the page has now. */
export const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** Axes in the page's colours; `time(date)`: how a time is written below. */
export const axes = (colour, time) => [
  {
    stroke: colour("--dim"), grid: { stroke: colour("--line") }, space: 80,
    values: (_, at) => at.map((one) => time(new Date(one * 1000))),
  },
  { stroke: colour("--dim"), grid: { stroke: colour("--line") } },
];

/**
 * `options(width, colour)`: those of uPlot, but for its width; `data`: its columns; `label`: what the picture shows,
 * for who cannot see it. The numbers stand in a table beside it.
 */
export function Chart({ options, data, label }) {
  const place = useRef();
  useEffect(() => {
    const box = place.current; // the reference is empty once the page has gone on
    let chart = null;
    let gone = false;
    let observer = null;
    loading ??= load();
    loading.then((Plot) => {
      if (gone) return;
      chart = new Plot(options(box.clientWidth, colour), data, box);
      observer = new ResizeObserver(() => chart.setSize({ width: box.clientWidth, height: chart.height }));
      observer.observe(box);
    });
    return () => {
      gone = true;
      observer?.disconnect();
      chart?.destroy();
    };
  }, [data, options]);
  return html`<div class="chart" role="img" aria-label=${label} ref=${place}></div>`;
}
