// The pages start here: who is logged in, the live picture, and the frame that shows the screen of the address.
import { html, render } from "./ui/html.js";
import { Frame } from "./app/frame.js";
import { glance, recall } from "./data/kept.js";
import { idle } from "./data/clock.js";
import { connect, preview } from "./data/live.js";
import { introduce } from "./data/me.js";
import { language } from "./text/text.js";

document.documentElement.lang = language;
const given = document.getElementById("first"); // the rows at the top of the list came with the page
if (given) preview(given.textContent);
else glance();
connect();
recall().catch(() => undefined); // a browser may allow no storage
introduce().catch(() => undefined); // without it, nothing is offered that needs a role
const app = document.getElementById("app");
app.replaceChildren(); // what was painted until the modules were there
app.inert = false;
render(html`<${Frame} />`, app);
// Without it, pages need the network. It loads the files of every screen, so it comes last.
idle().then(() => navigator.serviceWorker?.register("/sw.js").catch(() => undefined));
