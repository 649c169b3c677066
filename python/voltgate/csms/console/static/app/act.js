// Act: what a person wants of a charger: a button each, and in a sheet the question and how it ended in words.
//
//   button --tap--> asking --confirm--> sending --> ended
//      +---------------hold---------------^  ^--again--+   (only where nobody knows whether it was sent)
//
// One intent has one Idempotency-Key, made by its button: however often it is sent, the charger gets one CALL.
import { html, use, useEffect, useRef, useState } from "../ui/html.js";
import { HoldButton, Icon, Sheet, State } from "../ui/parts.js";
import { part, send } from "../data/api.js";
import { chargers, picture } from "../data/live.js";
import { ofConnector } from "../data/states.js";
import { fresh } from "./outcome.js";
import { t } from "../text/chargers.js";

const ICONS = { start: "play", stop: "square", unlock: "lock-open", reset: "rotate-ccw" };
const HURTS = ["stop", "reset"];
const GOOD = ["Accepted", "Unlocked", "Scheduled"];
const SAID = ["Accepted", "Rejected", "Scheduled", "Unlocked", "UnlockFailed", "NotSupported"];
const UNSURE = ["timeout", "lost", "unknown", "bad_result", "network"];

/** What is done where: a stop ends the session of the connector. */
function body(what, connector) {
  const where = connector ? { evse: connector.evse, connector: connector.connector } : {};
  if (what === "start") return { do: what, evse: connector?.evse ?? 1 };
  if (what === "stop") return { do: what, session: connector?.session ?? null };
  return what === "unlock" ? { do: what, ...where } : { do: what };
}

function words(outcome, status) {
  if (outcome !== "result") return t(`outcome.${outcome}`);
  return SAID.includes(status) ? t(`outcome.${status}`) : t("outcome.result", { status: status ?? "" });
}

async function tried(id, intent) {
  try {
    const path = `/chargers/${part(id)}/do`;
    const { outcome, status, meaning } = await send("POST", path, intent.body, { "Idempotency-Key": intent.key });
    const good = outcome === "result" && GOOD.includes(status);
    return { text: words(outcome, status), good, unsure: UNSURE.includes(outcome), meaning, code: outcome };
  } catch (problem) {
    const unsure = problem.kind === "network" || problem.status >= 500;
    const text = problem.kind === "network" ? t("outcome.network") : t("outcome.problem", { why: problem.message });
    return { text, good: false, unsure, code: problem.kind };
  }
}

function Ended({ ended, again, onClose }) {
  return html`<div class="ended ${ended.good ? "good" : "bad"}" data-testid="outcome" data-outcome=${ended.code} role="alert">
      <${Icon} name=${ended.good ? "circle-check" : ended.unsure ? "circle-help" : "circle-x"} />
      <p>${ended.text}</p>
    </div>
    <div class="buttons">
      ${ended.unsure && html`<button onClick=${again}>${t("again")}</button>`}
      <button class="primary" onClick=${onClose}>${t("done")}</button>
    </div>`;
}

function Where({ connectors, chosen, choose }) {
  if (connectors.length < 2) return null;
  return html`<fieldset class="choice">
    <legend class="hidden">${t("connector", { n: "" })}</legend>
    ${connectors.map(
      (one, index) =>
        html`<label key=${`${one.evse}/${one.connector}`}>
          <input type="radio" name="connector" checked=${index === chosen} onChange=${() => choose(index)} />
          ${t("connector", { n: one.evse })} <${State} state=${ofConnector(one)} />
        </label>`,
    )}
  </fieldset>`;
}

/** From the question to how it ended. An intent that was held is not asked about. */
function Doing({ id, intent, onClose }) {
  const [step, setStep] = useState(intent.held ? "sending" : "asking");
  const [ended, setEnded] = useState(null);
  const [token, setToken] = useState("");
  const sending = useRef(false);
  const run = async () => {
    if (sending.current) return;
    sending.current = true;
    setStep("sending");
    const tokened = intent.what === "start" ? { ...intent.body, token: token.trim() || null } : intent.body;
    setEnded(await tried(id, { ...intent, body: tokened }));
    setStep("ended");
    sending.current = false;
  };
  useEffect(() => void (intent.held && run()), []);
  return html`<${Sheet} title=${intent.place} onClose=${onClose}>
    ${step === "asking" &&
    html`<p class="question">${t(`ask.${intent.what}`, { place: intent.place })}</p>
      ${intent.what === "start" &&
      html`<label class="field">
        ${t("token")}
        <input value=${token} maxlength="36" autocomplete="off" onInput=${(event) => setToken(event.target.value)} />
      </label>`}
      <div class="buttons">
        <button onClick=${onClose}>${t("cancel")}</button>
        <button class=${HURTS.includes(intent.what) ? "danger" : "primary"} data-testid="confirm" onClick=${run}>
          ${t(`do.${intent.what}`)}
        </button>
      </div>`}
    ${step === "sending" && html`<p class="loading" role="status">${t("sending")}</p>`}
    ${step === "ended" && html`<${Ended} ended=${ended} again=${run} onClose=${onClose} />`}
  </${Sheet}>`;
}

export function Act({ id }) {
  const row = use(() => (picture.value, chargers.get(id)), [id]);
  const connectors = row.connectors.filter((one) => one.evse !== 0);
  const running = connectors.findIndex((one) => one.session);
  const [chosen, choose] = useState(Math.max(0, running));
  const [intent, setIntent] = useState(null);
  const connector = connectors[chosen];
  const place = connectors.length > 1 ? t("place.connector", { name: row.label, n: connector.evse }) : row.label;

  const possible = (what) => {
    if (what === "start") return !connector?.session;
    return what === "stop" ? Boolean(connector?.session) : true;
  };
  const want = (what, held) =>
    possible(what) && setIntent({ what, held, key: fresh(), body: body(what, connector), place });
  const button = (what) => {
    // Not `disabled`: that would take the focus from a button whose intent has just been carried out.
    const rest = { "data-testid": `act-${what}`, "aria-disabled": !possible(what), key: what };
    const inside = html`<${Icon} name=${ICONS[what]} />${t(what)}`;
    return HURTS.includes(what)
      ? html`<${HoldButton} ...${rest} onHold=${() => want(what, true)} onPress=${() => want(what, false)}>${inside}</${HoldButton}>`
      : html`<button ...${rest} onClick=${() => want(what, false)}>${inside}</button>`;
  };
  return html`<section class="act" aria-label=${t("act")}>
    <${Where} connectors=${connectors} chosen=${chosen} choose=${choose} />
    <div class="acts">${Object.keys(ICONS).map(button)}</div>
    ${intent && html`<${Doing} key=${intent.key} id=${id} intent=${intent} onClose=${() => setIntent(null)} />`}
  </section>`;
}
