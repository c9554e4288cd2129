// The shared worker: it holds the one stream of changes for all tabs of this browser that show this build.
import { Source } from "./lib/feed/source";

declare const self: { onconnect: (event: MessageEvent) => void; location: { pathname: string } };

const tabs = new Set<MessagePort>();
const [root = ""] = self.location.pathname.split("/console/a/");
const source = new Source(root, (told) => tabs.forEach((tab) => tab.postMessage(told)));

function join(tab: MessagePort): void {
  tabs.add(tab);
  tab.postMessage({ link: source.link, seq: source.seq });
  source.start();
}

function leave(tab: MessagePort): void {
  tabs.delete(tab);
  if (tabs.size === 0) source.stop();
}

self.onconnect = ({ ports: [tab] }) => {
  if (tab === undefined) return;
  tab.onmessage = ({ data }: MessageEvent<"join" | "leave" | "again">) => {
    if (data === "join") join(tab);
    else if (data === "leave") leave(tab);
    else source.again();
  };
};
