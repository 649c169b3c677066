// Session: what was delivered and what it costs, line by line, and the messages that prove it.
import { html, use, useState } from "../ui/html.js";
import { kw, kwh, money, percent, when, whole } from "../ui/format.js";
import { Icon, Shown } from "../ui/parts.js";
import { Curve } from "../ui/curve.js";
import { Decide } from "../ui/decide.js";
import { part } from "../data/api.js";
import { may } from "../data/me.js";
import { useEvery, useQuery } from "../data/query.js";
import { language } from "../text/text.js";
import { t } from "../text/books.js";
import { cost, SessionState } from "./sessions.js";

const exact = new Intl.NumberFormat(language, { maximumFractionDigits: 4 });
const priced = new Intl.NumberFormat(language, { minimumFractionDigits: 2, maximumFractionDigits: 4 });
/** A pseudonym stands for a token that nobody has decided on. */
const PSEUDONYM = /^[0-9a-f]{32}$/;
const tokenOf = (token) => (PSEUDONYM.test(token ?? "") ? t("token.nameless") : t("token.of", { token: token ?? "–" }));
/** For the field of a correction: the API takes whole watt hours. */
const energyOf = (one) => (one.energy_wh == null ? "" : String(Math.round(one.energy_wh)));
const minutes = (seconds) => t("minutes", { n: Math.round((seconds ?? 0) / 60) });

const Lines = ({ lines, currency, total }) => html`<div class="wide" tabindex="0" role="region" aria-label=${t("lines")}>
  <table class="numbers">
    <caption>${t("lines")}</caption>
    <thead>
      <tr>
        <th scope="col">${t("line")}</th>
        <th scope="col">${t("quantity")}</th>
        <th scope="col">${t("price")} (${currency})</th>
        <th scope="col">${t("amount")}</th>
      </tr>
    </thead>
    <tbody>
      ${lines.map(
        (one) => html`<tr>
          <th scope="row">${t(`line.${one.kind}`)}<small>${when(one.from)} – ${when(one.to)}</small></th>
          <td>${one.kind === "start" ? "1" : `${exact.format(Number(one.quantity))} ${one.unit}`}</td>
          <td>${priced.format(Number(one.price))}</td>
          <td>${money(one.amount, currency)}</td>
        </tr>`,
      )}
    </tbody>
    <tfoot>
      <tr><th scope="row" colspan="3">${t("total")}</th><td><b>${total}</b></td></tr>
    </tfoot>
  </table>
</div>`;

const Facts = ({ facts }) => html`<details class="card" data-testid="facts">
  <summary>${t("why.number", { n: facts.length })}</summary>
  <p class="dim">${t("why.text")}</p>
  <div class="wide" tabindex="0" role="region" aria-label=${t("messages")}>
    <table class="numbers">
      <thead>
        <tr>
          <th scope="col">${t("stream")}</th>
          <th scope="col">${t("message")}</th>
          <th scope="col">${t("used")}</th>
        </tr>
      </thead>
      <tbody>
        ${facts.map(
          (one) =>
            html`<tr><td>${one.stream} ${one.seq}</td><td class="long">${one.subject}</td><td>${one.used_for}</td></tr>`,
        )}
      </tbody>
    </table>
  </div>
</details>`;

const AGAIN = 5000; // milliseconds, while a session goes on or is about to be settled

export function Session({ id }) {
  const query = useQuery(`/sessions/${part(id)}/explain`);
  const curve = useQuery(`/sessions/${part(id)}/curve`);
  const goesOn = ["open", "ended"].includes(query.data?.session.state);
  useEvery(query.again, AGAIN, goesOn);
  useEvery(curve.again, AGAIN, query.data?.session.state === "open");
  const manages = use(() => may("manager"));
  const [asked, ask] = useState("");
  const path = `/sessions/${part(id)}`;
  return html`<${Shown} query=${query}>
    ${({ session: one, lines, facts }) => html`<article data-testid="session-${id}">
      <header class="head">
        <h1><a href="/chargers/${part(one.charger)}">${one.charger}</a></h1>
        <p><${SessionState} state=${one.state} /></p>
        <p><a href="/sessions?charger=${encodeURIComponent(one.charger)}">${t("sessions.charger")}</a></p>
        <p class="sum"><span data-testid="energy">${kwh(one.energy_wh)}</span> <span data-testid="cost">${cost(one)}</span></p>
      </header>
      <section class="card">
        <h2>${t("course")}</h2>
        <dl class="figures">
          <div><dt>${t("started")}</dt><dd>${when(one.started)}</dd></div>
          <div><dt>${t("ended")}</dt><dd>${when(one.ended)}</dd></div>
          <div><dt>${t("charging")}</dt><dd>${minutes(one.charging_s)}</dd></div>
          <div><dt>${t("idle")}</dt><dd>${minutes(one.idle_s)}</dd></div>
          <div><dt>${t("peak")}</dt><dd>${kw(one.peak_w)}</dd></div>
          ${one.soc_to != null &&
          html`<div><dt>${t("soc")}</dt><dd>${percent(one.soc_from)} – ${percent(one.soc_to)}</dd></div>`}
        </dl>
        <p class="dim">
          ${[tokenOf(one.token), t("tariff.of", { tariff: one.tariff ?? "–" }), t("revision.of", { n: one.revision })].join(" · ")}
        </p>
      </section>
      <section class="card" data-testid="curve">
        <h2>${t("curve")}</h2>
        <${Shown} query=${curve}>${(data) => html`<${Curve} samples=${data.items} lines=${lines} />`}</${Shown}>
      </section>
      ${one.flags.length > 0 &&
      html`<section class="card">
        <h2>${t("unusual")}</h2>
        <ul class="rows">${one.flags.map((flag) => html`<li key=${flag}><p>${t(`flag.${flag}`)}</p></li>`)}</ul>
      </section>`}
      <section class="card">
        ${lines.length
          ? html`<${Lines} lines=${lines} currency=${one.currency} total=${cost(one)} />`
          : html`<p>${t("lines.none")}</p>`}
        <p class="buttons">
          ${one.cost != null &&
          html`<a class="button" href="/receipts/${part(id)}" data-testid="receipt"><${Icon} name="receipt" />${t("receipt")}</a>`}
          ${manages &&
          one.state !== "open" &&
          html`<button onClick=${() => ask("correct")}>${t("correct")}</button>
            <button onClick=${() => ask("waive")}>${t("waive")}</button>`}
        </p>
      </section>
      <${Facts} facts=${facts} />
      ${asked === "correct" &&
      html`<${Decide}
        title=${t("correct")}
        method="POST"
        path=${() => `${path}/correct`}
        fields=${[["energy_wh", t("energy.wh"), { inputmode: "numeric", required: true, value: energyOf(one) }]]}
        body=${({ energy_wh, ...rest }) => ({ ...rest, energy_wh: whole(energy_wh) })}
        reason
        onDone=${query.again}
        onClose=${() => ask("")}
      />`}
      ${asked === "waive" &&
      html`<${Decide}
        title=${t("waive")}
        method="POST"
        path=${() => `${path}/waive`}
        fields=${[]}
        body=${(values) => values}
        reason
        danger
        onDone=${query.again}
        onClose=${() => ask("")}
      />`}
    </article>`}
  </${Shown}>`;
}
