// The screen as it was kept (ui/glimpse.js), drawn before any module is there. It says of what time it is, and the page
// takes its place. A classic script: modules come too late. Elements are made of data, never of markup.
{
  const SVG = "http://www.w3.org/2000/svg";
  const made = (parent, [name, attributes, ...children]) => {
    const element = document.createElementNS(name === "svg" ? SVG : parent.namespaceURI, name);
    for (const [key, value] of Object.entries(attributes)) {
      if (key === "style") element.style.cssText = value; // the policy allows no attribute
      else element.setAttribute(key, value);
    }
    element.append(...children.map((child) => (typeof child === "string" ? child : made(element, child))));
    return element;
  };
  const draw = () => {
    const { address, tree } = JSON.parse(localStorage.getItem("glimpse")) ?? {};
    if (address !== location.pathname + location.search) return false;
    const app = document.getElementById("app");
    app.replaceChildren(...tree.map((one) => made(app, one)));
    app.inert = true; // nothing listens yet
    document.documentElement.classList.add("stale");
    return true;
  };
  let drawn = false;
  try {
    drawn = draw();
  } catch {
    // Another release kept it in another form.
  }
  // The page that the service worker keeps has its modules here: the first frame comes before them.
  const later = document.getElementById("later");
  const start = () => later && document.body.append(later.content);
  if (drawn) requestAnimationFrame(() => setTimeout(start)); // no frame comes where nobody looks: neither do modules
  else start();
}
