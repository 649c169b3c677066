// Messages in English and German. Each area has a table in this folder: `key: ["English", "Deutsch"]`. A message
// may have {names}, and two forms, "one|many", that are chosen by {n}.
import { GLIMPSE } from "../data/stored.js";

export const LANGUAGES = ["en", "de"];

const wanted = localStorage.getItem("language") ?? navigator.language.slice(0, 2);
/** Of this page; a change of it loads the page anew. */
export const language = LANGUAGES.includes(wanted) ? wanted : "en";
const column = LANGUAGES.indexOf(language);

export function setLanguage(other) {
  localStorage.setItem("language", other);
  localStorage.removeItem(GLIMPSE); // it is in this language
  location.reload();
}

/** The function that looks messages up in a table: `t("key", { n: 3 })`. An unknown key is a fault of ours. */
export function table(messages) {
  return (key, values = {}) => {
    const row = messages[key];
    if (!row) throw new Error(`no message ${key}`);
    const forms = row[column].split("|");
    const form = forms.length > 1 && values.n !== 1 ? forms[1] : forms[0];
    return form.replace(/\{(\w+)\}/g, (_, name) => String(values[name] ?? ""));
  };
}
