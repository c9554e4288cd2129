// Live news for pages: from the worker that all tabs share, or from a stream of this tab's own where there is none.
import { effect, signal } from "@preact/signals";
import { lastSeq, loginNeeded, sawSeq } from "../api";
import { ROOT } from "../router";
import { logins, session } from "../session";
import { type Link, type News, anything, merged } from "./news";
import { Source, type Told } from "./source";

const APPLY_MS = 250;
const HIDDEN_SECONDS = 30;

export const link = signal<Link>({ state: "connecting" });

interface Line {
  again: () => void;
}

const followers = new Set<(news: News) => void>();
let line: Line | null = null;
let pending: News | null = null;
let timer: ReturnType<typeof setTimeout> | undefined;

/** Hear news, at most four times a second; returns what ends that. */
export function follow(told: (news: News) => void): () => void {
  followers.add(told);
  return () => followers.delete(told);
}

/** Connect now rather than at the next try. */
export function reconnect(): void {
  line?.again();
}

export function startFeed(): void {
  line = sharedLine() ?? ownLine();
  addEventListener("online", reconnect);
  // a login or logout changes who listens; the first value is that of the page's load
  let before = logins.peek();
  let who = session.peek();
  effect(() => {
    const changed = logins.value !== before || (who !== null && session.value === null);
    [before, who] = [logins.value, session.value];
    if (changed) reconnect();
  });
}

function heard(told: Told): void {
  if ("news" in told) return queue(told.news);
  const was = link.value.state;
  link.value = told.link;
  const { state } = told.link;
  if (state === "login") loginNeeded.value = true;
  if ((state !== "open" && state !== "polling") || was === state) return;
  if (loginNeeded.peek()) {
    // logged in by another tab
    loginNeeded.value = false;
    logins.value += 1;
  }
  queue(anything(told.seq ?? 0));
}

function queue(news: News): void {
  pending = pending === null ? news : merged(pending, news);
  if (timer === undefined) apply();
}

function apply(): void {
  timer = undefined;
  const news = pending;
  if (news === null) return;
  pending = null;
  if (news.reset) lastSeq.value = news.seq;
  else sawSeq(news.seq);
  for (const told of followers) told(news);
  timer = setTimeout(apply, APPLY_MS);
}

/** The worker's line; null where the browser has no shared workers, or refuses this one. */
function sharedLine(): Line | null {
  if (typeof SharedWorker === "undefined") return null;
  let worker: SharedWorker;
  try {
    worker = new SharedWorker(workerUrl(), { name: "towpath" });
  } catch {
    return null;
  }
  const { port } = worker;
  port.onmessage = ({ data }: MessageEvent<Told>) => heard(data);
  worker.onerror = () => {
    line = ownLine();
  };
  addEventListener("pagehide", () => port.postMessage("leave"));
  addEventListener("pageshow", (event) => {
    if (event.persisted) port.postMessage("join");
  });
  port.postMessage("join");
  return { again: () => port.postMessage("again") };
}

/** A stream of this tab's own, while the tab is visible and a little longer. */
function ownLine(): Line {
  const source = new Source(ROOT, heard);
  let hidden: ReturnType<typeof setTimeout> | undefined;
  const look = () => {
    clearTimeout(hidden);
    if (document.hidden) hidden = setTimeout(() => source.stop(), HIDDEN_SECONDS * 1000);
    else source.start();
  };
  look();
  document.addEventListener("visibilitychange", look);
  return { again: () => source.again() };
}

interface TrustedTypes {
  createPolicy: (name: string, rules: { createScriptURL: () => string }) => { createScriptURL: (from: string) => string };
}

/** The constant address of the worker, beside this script: the one thing that the policy of trusted types lets through. */
function workerUrl(): string {
  const own = document.querySelector<HTMLScriptElement>("script[src]")?.src ?? "";
  const url = own.replace(/[^/]*$/, "feed-worker.js");
  const types = (globalThis as { trustedTypes?: TrustedTypes }).trustedTypes;
  return types === undefined ? url : types.createPolicy("towpath", { createScriptURL: () => url }).createScriptURL("");
}
