// Who is logged in: the server decides what they may do, this decides what is shown.
import { signal } from "../ui/html.js";
import { get } from "./api.js";

/** Least first: each may do what those before it may. */
export const ROLES = ["viewer", "operator", "manager", "admin"];

export const me = signal(null);

export async function introduce() {
  me.value = await get("/me");
}

/** Whether a role, and no list of sites where `everywhere`, is enough for something. */
export function may(role, { everywhere = false } = {}) {
  const one = me.value;
  return one !== null && ROLES.indexOf(one.role) >= ROLES.indexOf(role) && !(everywhere && one.sites);
}
