// How long a lease lasts after a heartbeat: what the rings at holders are a share of.
import { signal } from "@preact/signals";
import { get } from "./api";
import { apiNow } from "./clock";
import { useResource } from "./resource";
import { at } from "./router";

/** 0 while it is not known. */
export const leaseSeconds = signal(0);

/** A heartbeat comes each third of a lease: below this part of it, two are missing. */
const LATE_PART = 0.25;

/** Whether a lease that ends at `until` is nearly over, or is; of the past that is not known. */
export function isLate(until: number): boolean {
  return at.value === null && until - apiNow.value < LATE_PART * leaseSeconds.value * 1000;
}

/** Learn it once a page shows leases (`wanted`). */
export function useLease(wanted = true): void {
  useResource(`lease ${wanted && at.value === null}`, async (abort) => {
    if (!wanted || at.value !== null || leaseSeconds.value > 0) return null;
    leaseSeconds.value = (await get("/log", { signal: abort })).lease_seconds;
    return null;
  });
}
