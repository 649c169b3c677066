// A decision, in a sheet or by one tap: its fields, why, and what became of it. Nothing is stored twice while one is on
// its way.
import { html, useState } from "./html.js";
import { Sheet, why } from "./parts.js";
import { say } from "./toast.js";
import { send } from "../data/api.js";
import { t } from "../text/books.js";

// Milliseconds: a decision takes effect at a tick of the ledger, and what is shown is read again after it.
const LATER = [1500, 5000];

function reread(said, again) {
  again(said);
  if (said && "valid_from" in said) for (const later of LATER) setTimeout(() => again(said), later);
}

/** A decision without a sheet, `sent` by send(): what was answered; for a Problem it says why, and is undefined. */
export async function decided(sent, again) {
  try {
    const said = await sent;
    reread(said, again);
    return said;
  } catch (problem) {
    say(why(problem));
    return undefined;
  }
}

/**
 * `fields`: `[name, label, attributes of the input]`; `body(values)`: what is sent; `reason`: whether it asks why.
 * `children(values)`: shown above the buttons.
 */
export function Decide({ title, method = "PUT", path, fields, body, reason, danger, onDone, onClose, children }) {
  const [values, set] = useState(Object.fromEntries(fields.map(([name, , rest]) => [name, rest?.value ?? ""])));
  const [problem, fail] = useState(null);
  const [busy, wait] = useState(false);
  const shown = reason ? [...fields, ["why", t("why"), { required: true, maxlength: 200 }]] : fields;
  const store = async (event) => {
    event.preventDefault();
    wait(true);
    try {
      const said = await send(method, path(values), body({ ...values }));
      say(t("stored"));
      reread(said, onDone);
      onClose();
    } catch (fault) {
      fail(fault);
    }
    wait(false);
  };
  return html`<${Sheet} title=${title} onClose=${onClose}>
    <form class="decide" onSubmit=${store}>
      ${shown.map(
        ([name, label, { options, ...rest } = {}]) =>
          html`<label key=${name}>
            ${label}
            ${options
              ? html`<select value=${values[name]} onChange=${(event) => set({ ...values, [name]: event.target.value })}>
                  ${options.map(([value, text]) => html`<option value=${value}>${text}</option>`)}
                </select>`
              : html`<input
                  ...${rest}
                  name=${name}
                  value=${values[name] ?? ""}
                  onInput=${(event) => set({ ...values, [name]: event.target.value })}
                />`}
          </label>`,
      )}
      ${children?.(values)}
      ${problem &&
      html`<div role="alert" class="wrong">
        <p>${why(problem)}</p>
        <ul>${(problem.errors ?? []).map((one) => html`<li>${one.pointer}: ${one.reason}</li>`)}</ul>
      </div>`}
      <p class="buttons">
        <button type="button" onClick=${onClose}>${t("cancel")}</button>
        <button type="submit" class=${danger ? "danger" : "primary"} disabled=${busy} data-testid="confirm">${title}</button>
      </p>
    </form>
  </${Sheet}>`;
}

/** Asks before something is removed. `path`: of the API; `about`: what else the question says. */
export const Removal = ({ name, path, about = "", onDone, onClose }) => html`<${Decide}
  title=${t("remove")}
  method="DELETE"
  path=${() => path}
  fields=${[]}
  body=${() => undefined}
  danger
  onDone=${onDone}
  onClose=${onClose}
>${() => html`<p>${t("remove.ask", { name })} ${about}</p>`}</${Decide}>`;
