// Whether the API serves another build of the console by now: it may be a newer one after a restart.
import { effect, signal } from "@preact/signals";
import { connection } from "./connection";
import { ROOT } from "./router";

export const outdated = signal(false);

const OWN = document.querySelector<HTMLScriptElement>("script[src]")?.src ?? "";
const FILES = /\/console\/a\/([0-9a-f]{16})\//;

/** Ask after each time that the API was away. */
export function watchVersion(): void {
  let away = false;
  effect(() => {
    const { state } = connection.value;
    if (state === "away") away = true;
    else if (state === "connected" && away) {
      away = false;
      void look();
    }
  });
}

async function look(): Promise<void> {
  try {
    const page = await (await fetch(`${ROOT}/console/`, { cache: "no-store" })).text();
    const [, now] = FILES.exec(page) ?? [];
    const [, own] = FILES.exec(OWN) ?? [];
    if (now !== undefined && own !== undefined && now !== own) outdated.value = true;
  } catch {
    // asked again after the next time
  }
}
