// How long a lease lasts after a heartbeat: what the rings at holders are a share of.
import { signal } from "@preact/signals";
import { get } from "./api";
import { useResource } from "./resource";
import { at } from "./router";

/** 0 while it is not known. */
export const leaseSeconds = signal(0);

/** Learn it, for pages that show leases. */
export function useLease(): void {
  useResource(`lease ${at.value === null}`, async (abort) => {
    if (at.value !== null || leaseSeconds.value > 0) return null;
    leaseSeconds.value = (await get("/log", { signal: abort })).lease_seconds;
    return null;
  });
}
