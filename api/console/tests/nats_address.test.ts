import { describe, expect, it } from "vitest";
import { natsAddress } from "../src/lib/nats_address.ts";

describe("natsAddress", () => {
  it.each([
    [["nats://127.0.0.1:4334"], "localhost", "nats://127.0.0.1:4334", "this machine only"],
    [["127.0.0.1:4334"], "127.0.0.1", "127.0.0.1:4334", "this machine only"],
    [["tls://[::1]:4222"], "[::1]", "tls://[::1]:4222", "this machine only"],
    [["nats://127.0.0.1:4334"], "tow.example.org", null, "Add --nats-url"],
    [[], "localhost", null, "Add --nats-url"],
    [["nats://nats-1:4222", "nats://nats-2:4222"], "tow.example.org", "nats://nats-1:4222,nats://nats-2:4222", "may have another"],
    [["nats://localhost:4222", "nats://nats-2:4222"], "localhost", "nats://nats-2:4222", "may have another"],
  ])("%s, seen from %s, is %s", (urls, host, url, words) => {
    const found = natsAddress(urls, host);
    expect(found.url).toBe(url);
    expect(found.words).toContain(words);
  });
});
