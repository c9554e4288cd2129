import { expect, it } from "vitest";
import { type LogFilters, curl, isFiltered, logFilters, natsSub, toQuery } from "../src/lib/log_filters";

function of(query: string): LogFilters {
  return logFilters(new URLSearchParams(query));
}

it("reads the address, and leaves out what is no event", () => {
  expect(of("kind=lock&event=granted&event=granted&event=nonsense&workspace=shop&actor=&at=7")).toEqual({
    kind: "lock",
    event: ["granted"],
    task_id: null,
    workspace: "shop",
    actor: null,
  });
  expect(of("kind=constructor").kind).toBeNull();
  expect([isFiltered(of("at=7")), isFiltered(of("actor=ann"))]).toEqual([false, true]);
});

it("asks for the events of a kind, unless some are chosen", () => {
  expect(toQuery(of("kind=lock"))["event"]).toEqual(["granted", "refused", "released"]);
  expect(toQuery(of("kind=task&event=failed"))["event"]).toEqual(["failed"]);
  expect(toQuery(of(""))).toEqual({ event: [], task_id: null, workspace: null, actor: null });
});

it.each([
  ["", "nats sub 'towpath.>'", true],
  ["kind=lock", "nats sub 'towpath.lock.*.*'", true],
  ["event=failed", "nats sub 'towpath.task.*.failed'", true],
  ["event=granted&workspace=shop", "nats sub 'towpath.lock.shop.granted'", true],
  ["kind=lock&workspace=shop", "nats sub 'towpath.lock.shop.*'", true],
  ["kind=workspace&workspace=shop", "nats sub 'towpath.workspace.shop.*'", true],
  ["kind=task&task_id=abc", "nats sub 'towpath.task.abc.*'", true],
  ["task_id=abc", "nats sub 'towpath.task.abc.*'", false],
  ["workspace=shop", "nats sub 'towpath.lock.shop.*'", false],
  ["event=failed&event=granted", "nats sub 'towpath.>'", false],
  ["event=failed&event=running", "nats sub 'towpath.task.*.*'", false],
  ["actor=ann", "nats sub 'towpath.>'", false],
])("%s is nearest to %s", (query, command, exact) => {
  expect(natsSub(of(query))).toEqual({ command, exact });
});

it("writes a line for a shell that nothing in the address can break", () => {
  expect(curl("http://x/events/stream?actor='", true)).toBe("curl -N 'http://x/events/stream?actor=%27'");
  expect(natsSub(of("kind=task&task_id=x';id'")).command).toBe("nats sub 'towpath.task.x'\\'';id'\\''.*'");
  expect(curl("http://x/", false)).toBe("curl -N -H \"Authorization: Bearer $TOWPATH_TOKEN\" 'http://x/'");
});
