// The pages start here: who is logged in, the live picture, and the frame that shows the screen of the address.
import { html, render } from "./ui/html.js";
import { Frame } from "./app/frame.js";
import { recall } from "./data/kept.js";
import { connect } from "./data/live.js";
import { introduce } from "./data/me.js";
import { language } from "./text/text.js";

document.documentElement.lang = language;
connect();
recall().catch(() => undefined); // a browser may allow no storage
introduce().catch(() => undefined); // without it, nothing is offered that needs a role
const app = document.getElementById("app");
app.replaceChildren(); // what was painted until the modules were there
render(html`<${Frame} />`, app);
navigator.serviceWorker?.register("/sw.js").catch(() => undefined); // without it, pages need the network
