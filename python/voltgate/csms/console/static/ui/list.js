// A list of any length: what is on the screen is in the document, and a little more. Rows have one height.
import { html, useEffect, useLayoutEffect, useRef, useState } from "./html.js";

const BEYOND = 2; // rows above and below the screen

/**
 * `items`; `row(item)`: what is drawn, the same for the same item; `height`: of a row in rem, so that large text fits;
 * `id(item)`: its key. The page scrolls, not the list.
 */
export function List({ items, row, height, id, label }) {
  const list = useRef();
  const [[first, last], show] = useState([0, 12]);
  const rem = useRef(16);
  const place = useRef(0); // of its top on the page
  const measure = () => {
    if (!list.current) return; // it has just been taken from the page
    const size = height * rem.current;
    const top = place.current - scrollY;
    const from = Math.max(0, Math.floor(-top / size) - BEYOND);
    const to = Math.min(items.length, Math.ceil((innerHeight - top) / size) + BEYOND);
    show((old) => (old[0] === from && old[1] === to ? old : [from, Math.max(from, to)]));
  };
  const current = useRef();
  current.current = measure;
  // Not with each scroll: it makes the browser lay the page out at once.
  const resized = () => {
    if (!list.current) return;
    rem.current = parseFloat(getComputedStyle(document.documentElement).fontSize);
    place.current = list.current.getBoundingClientRect().top + scrollY;
    current.current();
  };
  useLayoutEffect(resized, [items, height]);
  useEffect(() => {
    const again = () => current.current();
    addEventListener("scroll", again, { passive: true });
    addEventListener("resize", resized); // a taller window shows more rows, and changes no size of the page
    const sizes = new ResizeObserver(resized); // what stands above it may grow
    sizes.observe(document.body);
    return () => {
      removeEventListener("scroll", again);
      removeEventListener("resize", resized);
      sizes.disconnect();
    };
  }, []);
  // A row that was on the screen already is the same node, which Preact does not draw again.
  const drawn = useRef({});
  if (drawn.current.row !== row) drawn.current = { row, nodes: new Map() };
  const nodes = new Map();
  const node = (item) => {
    const key = id(item);
    const one = drawn.current.nodes.get(key) ?? row(item);
    nodes.set(key, one);
    return one;
  };
  const end = Math.min(last, items.length);
  const shown = html`<ul class="list" ref=${list} aria-label=${label} style=${{ height: `${items.length * height}rem` }}>
    ${items.slice(first, end).map(
      (item, index) =>
        html`<li
          key=${id(item)}
          aria-setsize=${items.length}
          aria-posinset=${first + index + 1}
          style=${{ height: `${height}rem`, transform: `translateY(${(first + index) * height}rem)` }}
        >
          ${node(item)}
        </li>`,
    )}
  </ul>`;
  drawn.current.nodes = nodes;
  return shown;
}
