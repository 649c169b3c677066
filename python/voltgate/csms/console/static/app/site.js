// Site: its bays as they are now, its load, limit and price, when it is used, and the uptime of its ports.
import { html, use, useState } from "../ui/html.js";
import { decimal, kw } from "../ui/format.js";
import { Icon, Shown, State, why } from "../ui/parts.js";
import { say } from "../ui/toast.js";
import { part, query, send } from "../data/api.js";
import { chargers, picture } from "../data/live.js";
import { may } from "../data/me.js";
import { useQuery } from "../data/query.js";
import { go } from "../data/router.js";
import { ofConnector } from "../data/states.js";
import { Exclusions } from "./exclusions.js";
import { Heat, Port } from "./insights.js";
import { fresh } from "./outcome.js";
import { Editor } from "./sites.js";
import { t } from "../text/books.js";
import { t as shared } from "../text/shell.js";

/** Power and bays: one tile for each connector, as it is at this moment. */
function Bays({ id, limit }) {
  const seen = use(() => {
    picture.value;
    const here = [...chargers.values()].filter((row) => row.site === id);
    return { here, power: here.reduce((sum, row) => sum + (row.power ?? 0), 0) };
  }, [id]);
  const bays = seen.here.flatMap((row) =>
    row.connectors.filter((one) => one.evse !== 0).map((one) => [row, one]),
  );
  return html`<section class="card hero">
      <p class="big">${kw(seen.power)}</p>
      <p class="dim">${limit != null ? t("of.limit", { power: kw(limit) }) : t("no.limit")}</p>
      ${limit > 0 &&
      html`<div class="bar" aria-hidden="true">
        <i class="fill-charging" style=${{ width: `${Math.min(100, (100 * seen.power) / limit)}%` }} />
      </div>`}
    </section>
    <ul class="bays">
      ${bays.map(
        ([row, one]) => html`<li key=${`${row.id}/${one.evse}/${one.connector}`}>
          <a class="card" href="/chargers/${part(row.id)}">
            <b>${row.label}</b><small>${t("evse", { n: one.evse })}</small>
            <${State} state=${row.online ? ofConnector(one) : "offline"} />
            <small>${kw(one.power_w)}</small>
          </a>
        </li>`,
      )}
    </ul>
    ${!bays.length && html`<p class="card">${t("bays.none")}</p>`}`;
}

/** A power limit that the chargers share: the outcome of each is on the page of its job. */
function Sharing({ id, most }) {
  const [limit, set] = useState(most != null ? String(most / 1000) : "");
  const [busy, wait] = useState(false);
  const watts = Math.round(decimal(limit) * 1000);
  const run = async (method, body) => {
    wait(true);
    try {
      const job = await send(method, `/sites/${part(id)}/limit`, body, { "Idempotency-Key": fresh() });
      go(`/bulk/${part(job.id)}`);
    } catch (problem) {
      say(why(problem));
      wait(false);
    }
  };
  return html`<section class="card" data-testid="site-limit">
    <h2>${t("share")}</h2>
    <p class="dim">${t("share.text")}</p>
    <label>
      ${t("share.limit")}
      <input inputmode="decimal" value=${limit} onInput=${(event) => set(event.target.value)} />
    </label>
    <p class="buttons">
      <button disabled=${busy} onClick=${() => run("DELETE")}>${t("share.clear")}</button>
      <button class="primary" disabled=${busy || !(watts >= 0)} onClick=${() => run("PUT", { limit_w: watts })}>
        ${t("share.set")}
      </button>
    </p>
  </section>`;
}

/** The price that holds here, unless a charger or a group of tokens has its own. */
function Price({ id }) {
  const assignments = useQuery("/assignments?limit=1000");
  const tariffs = useQuery("/tariffs?limit=1000");
  return html`<section class="card" data-testid="site-tariff">
    <h2>${t("tariff")}</h2>
    <${Shown} query=${assignments}>
      ${({ items }) => {
        const of = (scope) => items.find((one) => one.id === scope && one.tariff)?.tariff;
        const name = of(`site:${id}`) ?? of("default");
        if (!name) return html`<p>${t("applies.none")}</p>`;
        return html`<${Shown} query=${tariffs}>
          ${(known) =>
            html`<p><b>${name}</b>: ${known.items.find((one) => one.id === name)?.sentence ?? t("tariff.whole")}</p>`}
        </${Shown}>`;
      }}
    </${Shown}>
    <p class="buttons"><a class="button" href="/tariffs"><${Icon} name="tag" />${shared("nav.tariffs")}</a></p>
  </section>`;
}

export function Site({ id }) {
  const sites = useQuery("/sites?limit=1000");
  const week = useQuery(query("/week", { site: id }));
  const uptime = useQuery("/uptime");
  const [manages, operates, everywhere] = use(() => [
    may("manager"),
    may("operator"),
    may("viewer", { everywhere: true }),
  ]);
  const [changing, change] = useState(false);
  return html`<${Shown} query=${sites}>
    ${(data) => {
      const site = data.items.find((one) => one.id === id) ?? { id, name: id };
      return html`<header class="titled">
          <h1>${site.name}</h1>
          ${manages && html`<button onClick=${() => change(true)}>${t("change")}</button>`}
          ${site.address && html`<p class="dim">${site.address}</p>`}
        </header>
        <${Bays} id=${id} limit=${site.max_power_w} />
        ${everywhere && html`<${Price} id=${id} />`}
        ${operates && html`<${Sharing} id=${id} most=${site.max_power_w} />`}
        <section class="card">
          <h2>${t("heat")}</h2>
          <${Shown} query=${week}>${(found) => html`<${Heat} hours=${found.items} />`}</${Shown}>
        </section>
        <section class="card" data-testid="uptime">
          <h2>${t("uptime")}</h2>
          <${Shown} query=${uptime}>
            ${(found) => {
              const ports = found.items.filter((one) => one.site === id);
              return ports.length
                ? html`<ul class="rows">${ports.map((one) => html`<${Port} key=${`${one.charger}/${one.evse}`} one=${one} />`)}</ul>`
                : html`<p class="dim">${t("uptime.none")}</p>`;
            }}
          </${Shown}>
        </section>
        <${Exclusions} site=${id} />
        <p class="buttons">
          <a class="button" href="/api/v1/sites/${part(id)}/statement" download>
            <${Icon} name="download" />${t("statement")}
          </a>
        </p>
        ${changing && html`<${Editor} site=${site} onDone=${sites.again} onClose=${() => change(false)} />`}`;
    }}
  </${Shown}>`;
}
