// The typed client of the API. Every failure is a Problem (the API's own words) or Unreachable; nothing is repeated here.
import { signal } from "@preact/signals";
import type { components, paths } from "../generated/api";
import { sawDate } from "./clock";
import { ROOT } from "./router";

export type Schemas = components["schemas"];
export type Task = Schemas["TaskRead"];
/** A task as lists have it: without command, message and output. */
export type Row = Schemas["TaskRow"];

type Method = "get" | "post" | "put" | "delete";
type PathsWith<M extends Method> = { [P in keyof paths]: paths[P] extends Record<M, object> ? P : never }[keyof paths];
type Json<T> = T extends { content: { "application/json": infer Body } } ? Body : undefined;
type Responses<P extends keyof paths, M extends Method> = paths[P] extends Record<M, { responses: infer R }> ? R : never;
type Answer<R> = R extends { 200: infer T } ? Json<T> : R extends { 201: infer T } ? Json<T> : undefined;
type Body<P extends keyof paths, M extends Method> =
  paths[P] extends Record<M, { requestBody?: { content: { "application/json": infer B } } }> ? B : undefined;

type Value = string | number | boolean | null | undefined;
export interface Ask {
  /** Values of the `{names}` in the path. */
  path?: Record<string, string>;
  query?: Record<string, Value | readonly string[]>;
  headers?: Record<string, string>;
  signal?: AbortSignal;
}

/** An error that the API has answered. */
export class Problem extends Error {
  readonly status: number;
  readonly code: string;
  readonly extra: Record<string, unknown>;
  readonly retryAfterSeconds: number | null;

  constructor(status: number, body: Record<string, unknown>, retryAfterSeconds: number | null) {
    super(typeof body["detail"] === "string" ? body["detail"] : `the API answered ${status}`);
    this.name = "Problem";
    this.status = status;
    this.code = typeof body["code"] === "string" ? body["code"] : "http-error";
    this.extra = body;
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

/** No answer came. */
export class Unreachable extends Error {
  constructor() {
    super("the API does not answer");
    this.name = "Unreachable";
  }
}

/** Whether the login stands over the page; set by the first 401. */
export const loginNeeded = signal(false);

/** The newest position of the log that an answer has shown, 0 before the first. */
export const lastSeq = signal(0);

export function sawSeq(seq: number): void {
  if (seq > lastSeq.value) lastSeq.value = seq;
}

const answered = new WeakMap<AbortSignal, number>();

/** Up to which sequence all answers to requests with `signal` show the log. */
export function answeredUpTo(signal: AbortSignal): number {
  return answered.get(signal) ?? Number.POSITIVE_INFINITY;
}

function sawAnswer(response: Response, ask: Ask): void {
  const asOf = Number(response.headers.get("Towpath-As-Of") ?? Number.NaN);
  if (!Number.isSafeInteger(asOf) || ask.query?.["at"] != null) return;
  sawSeq(asOf);
  if (ask.signal) answered.set(ask.signal, Math.min(asOf, answeredUpTo(ask.signal)));
}

/** The address of a route. */
export function address(template: string, ask: Ask = {}): string {
  const path = template.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(ask.path?.[name] ?? ""));
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(ask.query ?? {}))
    for (const one of Array.isArray(value) ? value : [value as Value])
      if (one !== null && one !== undefined) query.append(name, String(one));
  const text = query.toString();
  return ROOT + path + (text === "" ? "" : `?${text}`);
}

/** The response of a route, whatever its content. Throws Problem, Unreachable, or what `signal` was aborted with. */
export async function request(method: string, template: string, ask: Ask = {}, body?: unknown): Promise<Response> {
  const headers: Record<string, string> = { Accept: "application/json", ...ask.headers };
  if (method !== "GET") headers["X-Towpath-Console"] = "1";
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let response: Response;
  try {
    response = await fetch(address(template, ask), {
      method,
      headers,
      body: body === undefined ? null : JSON.stringify(body),
      signal: ask.signal ?? null,
      cache: "no-store",
      credentials: "same-origin",
      redirect: "error",
    });
  } catch (error) {
    if (ask.signal?.aborted) throw error;
    throw new Unreachable();
  }
  sawDate(response.headers.get("Date"));
  if (!response.ok) throw await problemOf(response);
  sawAnswer(response, ask);
  return response;
}

async function problemOf(response: Response): Promise<Problem> {
  const after = Number(response.headers.get("Retry-After") ?? Number.NaN);
  let body: unknown = null;
  try {
    body = await response.json();
  } catch {
    // a proxy's page: the status alone counts
  }
  const found = new Problem(
    response.status,
    typeof body === "object" && body !== null ? (body as Record<string, unknown>) : {},
    Number.isFinite(after) ? after : null,
  );
  if (found.status === 401) {
    loginNeeded.value = true;
    found.message = "the login had ended before this request: log in, and send it again"; // the API speaks to programs
  }
  return found;
}

async function json(response: Response): Promise<unknown> {
  return response.status === 204 ? undefined : await response.json();
}

function bare<M extends "get" | "delete">(method: M) {
  return async <P extends PathsWith<M>>(path: P, ask: Ask = {}) =>
    (await json(await request(method.toUpperCase(), path, ask))) as Answer<Responses<P, M>>;
}

function withBody<M extends "post" | "put">(method: M) {
  return async <P extends PathsWith<M>>(path: P, ask: Ask, body: Body<P, M>) =>
    (await json(await request(method.toUpperCase(), path, ask, body))) as Answer<Responses<P, M>>;
}

export const get = bare("get");
export const remove = bare("delete");
export const post = withBody("post");
export const put = withBody("put");
