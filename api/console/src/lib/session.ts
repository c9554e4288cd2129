// Who uses the console, and what that person may do.
import { computed, signal } from "@preact/signals";
import { ROLES } from "../generated/roles";
import { get, loginNeeded, post, remove, type Schemas } from "./api";
import { ROOT } from "./router";

export type Session = Schemas["SessionRead"];
export type Operation = keyof typeof ROLES;
export type Role = Session["role"];

const ORDER: readonly Role[] = ["viewer", "auditor", "operator", "admin"];

export const session = signal<Session | null>(null);

/** Counts logins: what was loaded before one is loaded again. */
export const logins = signal(0);

const rank = computed(() => (session.value === null ? -1 : ORDER.indexOf(session.value.role)));

/** The role that an operation needs, if the session's own does not suffice; null if it may, or is not known yet. */
export function roleMissing(operation: Operation): Role | null {
  const needed = ROLES[operation];
  return session.value === null || rank.value >= ORDER.indexOf(needed) ? null : needed;
}

export async function loadSession(signal: AbortSignal): Promise<Session> {
  const found = await get("/session", { signal });
  session.value = found;
  return found;
}

/** Exchange a token for the cookie. Throws Problem 401 if it is none of the API's. */
export async function logIn(token: string): Promise<void> {
  session.value = await post("/session", {}, { token });
  loginNeeded.value = false;
  logins.value += 1;
}

/** Other tabs of this browser hear by it that somebody has logged out. */
const tabs = typeof BroadcastChannel === "undefined" ? null : new BroadcastChannel(`towpath session ${ROOT}`);
if (tabs !== null) tabs.onmessage = () => location.reload();

/** Forget the cookie, and in every tab also what is shown, and the streams that were opened with it. */
export async function logOut(): Promise<void> {
  await remove("/session", {});
  session.value = null;
  loginNeeded.value = true;
  tabs?.postMessage("logged out");
  location.reload();
}
