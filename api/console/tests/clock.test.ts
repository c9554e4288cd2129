// Times are reckoned by the clock that wrote them.
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { apiNow, apiTime, now, sawDate } from "../src/lib/clock";

const AT = Date.parse("2026-01-31T12:00:00Z");
const header = (seconds: number) => new Date(AT + seconds * 1000).toUTCString();

beforeEach(() => {
  vi.useFakeTimers({ now: AT });
  now.value = AT;
  sawDate(header(0));
});
afterEach(() => vi.useRealTimers());

it("takes the API's clock where this one is wrong", () => {
  sawDate(header(3600));
  expect(Math.round((apiTime() - AT) / 1000)).toBe(3600 + 1);
  expect(apiNow.value).toBe(apiTime());
  now.value += 60_000;
  expect(Math.round((apiNow.value - AT) / 1000)).toBe(3660 + 1);
  sawDate(header(-3600));
  expect(apiTime()).toBeLessThan(AT);
});

it("takes no slow answer for another time, and does not move with each answer", () => {
  sawDate(header(-4));
  expect(apiTime()).toBe(AT);
  sawDate(header(600));
  const found = apiTime();
  sawDate(header(603));
  sawDate(header(597));
  expect(apiTime()).toBe(found);
});

it("goes on as before without a date", () => {
  sawDate(null);
  sawDate("soon");
  expect(apiTime()).toBe(AT);
});

it("knows that both are right again", () => {
  sawDate(header(600));
  sawDate(header(1));
  expect(apiTime()).toBe(AT);
});
