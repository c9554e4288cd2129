// The table of pages. A page is one file in `pages/`; an entry here gives it its address and, with `nav`, its place
// in the rail. `g` and the letter of `key` lead there.
import type { ComponentType } from "preact";
import type { IconName } from "./components/Icon";
import { match } from "./lib/router";
import { EvidencePage } from "./pages/Evidence";
import { LogPage } from "./pages/Log";
import { LogEventPage } from "./pages/LogEvent";
import { LocksPage, WorkspaceLocksPage } from "./pages/Locks";
import { NoticesPage } from "./pages/Notices";
import { OverviewPage } from "./pages/Overview";
import { RunnersPage } from "./pages/Runners";
import { TaskPage } from "./pages/Task";
import { TasksPage } from "./pages/Tasks";
import { WorkspacesPage } from "./pages/Workspaces";

export interface PageProps {
  /** Values of the `:names` in the path. */
  params: Record<string, string>;
}

export interface PageEntry {
  path: string;
  title: string;
  page: ComponentType<PageProps>;
  nav?: { icon: IconName; key: string };
}

export const PAGES: readonly PageEntry[] = [
  { path: "/", title: "Overview", page: OverviewPage, nav: { icon: "overview", key: "o" } },
  { path: "/tasks", title: "Tasks", page: TasksPage, nav: { icon: "tasks", key: "t" } },
  { path: "/tasks/:id", title: "Task", page: TaskPage },
  { path: "/locks", title: "Locks", page: LocksPage, nav: { icon: "locks", key: "l" } },
  { path: "/locks/:workspace", title: "Locks", page: WorkspaceLocksPage },
  { path: "/workspaces", title: "Workspaces", page: WorkspacesPage, nav: { icon: "workspaces", key: "w" } },
  { path: "/runners", title: "Runners", page: RunnersPage, nav: { icon: "runners", key: "r" } },
  { path: "/log", title: "Log", page: LogPage, nav: { icon: "log", key: "e" } },
  { path: "/log/:seq", title: "Event", page: LogEventPage },
  { path: "/notices", title: "Notices", page: NoticesPage, nav: { icon: "notices", key: "n" } },
  { path: "/evidence", title: "Evidence", page: EvidencePage, nav: { icon: "evidence", key: "v" } },
];

/** Whether `path` is the address of a page. */
export function hasPage(path: string): boolean {
  return PAGES.some((one) => match(one.path, path) !== null);
}
