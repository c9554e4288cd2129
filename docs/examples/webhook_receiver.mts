// A receiver of Towpath's webhooks: checks the signature, and prints what each notice tells.
//
//     TOWPATH_WEBHOOK_SECRET=whsec_… node webhook_receiver.mjs PORT
//
// Needs Node 20 and no packages; `tsc` makes the .mjs. It follows the Standard Webhooks scheme, as any library for
// that does.

import { createHmac, timingSafeEqual } from "node:crypto";
import { createServer, type IncomingHttpHeaders, type IncomingMessage } from "node:http";

const SECRET = Buffer.from((process.env.TOWPATH_WEBHOOK_SECRET ?? "").replace(/^whsec_/, ""), "base64");
const TOLERATED_SECONDS = 300; // an older request may be one that somebody has recorded and sends again
const BODY_BYTES = 1 << 20;
const REMEMBERED = 10_000;
const seen = new Set<string>();

function text(headers: IncomingHttpHeaders, name: string): string {
  const found = headers[name];
  return typeof found === "string" ? found : "";
}

/** Whether one of the signatures is ours, and the request is recent. */
function isGenuine(headers: IncomingHttpHeaders, body: Buffer): boolean {
  const id = text(headers, "webhook-id");
  const at = text(headers, "webhook-timestamp");
  if (!/^\d+$/.test(at) || Math.abs(Date.now() / 1000 - Number(at)) > TOLERATED_SECONDS) return false;
  const made = createHmac("sha256", SECRET).update(`${id}.${at}.`).update(body).digest();
  return text(headers, "webhook-signature")
    .split(" ")
    .filter((one) => one.startsWith("v1,"))
    .map((one) => Buffer.from(one.slice(3), "base64"))
    .some((one) => one.length === made.length && timingSafeEqual(one, made));
}

async function bodyOf(request: IncomingMessage): Promise<Buffer | null> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    length += part.length;
    if (length > BODY_BYTES) return null;
    parts.push(part);
  }
  return Buffer.concat(parts);
}

function tell(id: string, body: Buffer): void {
  if (seen.has(id)) return; // sent twice, as after a crash of the notifier
  seen.add(id);
  const [oldest] = seen;
  if (seen.size > REMEMBERED && oldest !== undefined) seen.delete(oldest);
  const event = JSON.parse(body.toString("utf8")) as { data: { notice: { text: string } } };
  console.log(event.data.notice.text);
}

const server = createServer(async (request, response) => {
  const body = await bodyOf(request);
  const genuine = request.method === "POST" && body !== null && isGenuine(request.headers, body);
  if (genuine) tell(text(request.headers, "webhook-id"), body);
  response.writeHead(genuine ? 204 : 401, { "content-length": "0" }).end();
});
server.listen(Number(process.argv[2]), "127.0.0.1");
