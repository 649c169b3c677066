// A list of any length: what is on the screen is in the document, and a little more. Rows have one height.
import { html, useEffect, useLayoutEffect, useRef, useState } from "./html.js";

const BEYOND = 4; // rows above and below the screen

/**
 * `items`; `row(item, index)`: what is drawn; `height`: of a row in rem, so that large text fits;
 * `id(item)`: its key. The page scrolls, not the list.
 */
export function List({ items, row, height, id, label }) {
  const list = useRef();
  const [[first, last], show] = useState([0, 12]);
  const rem = () => parseFloat(getComputedStyle(document.documentElement).fontSize);
  const measure = () => {
    if (!list.current) return; // it has just been taken from the page
    const size = height * rem();
    const top = list.current.getBoundingClientRect().top;
    const from = Math.max(0, Math.floor(-top / size) - BEYOND);
    const to = Math.min(items.length, Math.ceil((innerHeight - top) / size) + BEYOND);
    show((old) => (old[0] === from && old[1] === to ? old : [from, Math.max(from, to)]));
  };
  const current = useRef();
  current.current = measure;
  useLayoutEffect(measure, [items, height]);
  useEffect(() => {
    const again = () => current.current();
    addEventListener("scroll", again, { passive: true });
    addEventListener("resize", again);
    return () => {
      removeEventListener("scroll", again);
      removeEventListener("resize", again);
    };
  }, []);
  const end = Math.min(last, items.length);
  return html`<ul class="list" ref=${list} aria-label=${label} style=${{ height: `${items.length * height}rem` }}>
    ${items.slice(first, end).map(
      (item, index) =>
        html`<li
          key=${id(item)}
          aria-setsize=${items.length}
          aria-posinset=${first + index + 1}
          style=${{ height: `${height}rem`, transform: `translateY(${(first + index) * height}rem)` }}
        >
          ${row(item, first + index)}
        </li>`,
    )}
  </ul>`;
}
