// How something that was sent has ended, in words, for the screens that send more than Act does.
import { html } from "../ui/html.js";
import { Icon, why } from "../ui/parts.js";
import { known, t } from "../text/work.js";

const GOOD = ["Accepted", "Scheduled", "Unlocked", "AcceptedCanceled", "RebootRequired", null];

/** The id of one intent: a page by plain HTTP on another host has no crypto.randomUUID. */
export function fresh() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Of an answer of the API, or of a charger in a bulk operation. */
export function words({ outcome, status, meaning }) {
  if (outcome === "result" || outcome === null) {
    return known(`status.${status}`) ? t(`status.${status}`) : t("status.other", { status: status ?? "" });
  }
  if (outcome === "impossible" && meaning) return meaning;
  return known(`outcome.${outcome}`) ? t(`outcome.${outcome}`) : (meaning ?? outcome);
}

export const good = ({ outcome, status }) => outcome === "result" && GOOD.includes(status ?? null);

export const Result = ({ ended }) =>
  ended.busy
    ? html`<p class="loading" role="status">${t("sending")}</p>`
    : html`<div class="ended ${ended.good ? "good" : "bad"}" data-testid="outcome" role="alert">
        <${Icon} name=${ended.good ? "circle-check" : "circle-x"} />
        <p>${ended.text}</p>
      </div>`;

/** What is sent, and how it ended: `send` is called with a key, and answers as the API does. */
export async function sent(send) {
  try {
    const answer = await send({ "Idempotency-Key": fresh() });
    return { good: good(answer), text: words(answer), answer };
  } catch (problem) {
    return { good: false, text: why(problem) };
  }
}
