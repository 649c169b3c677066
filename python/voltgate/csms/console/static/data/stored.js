// What this browser keeps of the network for the next visit, and that it goes.
/** The picture, in a cache. */
export const PICTURE = "picture";
/** In the local storage, which is read at once: time and first rows. */
export const FIRST = "first";
/** Likewise: the screen. */
export const GLIMPSE = "glimpse";

/** Whoever comes next sees nothing of it. */
export async function forget() {
  localStorage.removeItem(FIRST);
  localStorage.removeItem(GLIMPSE);
  await globalThis.caches?.delete(PICTURE); // none where the context is not secure
}
