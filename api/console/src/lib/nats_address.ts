// Where somebody who reads this page finds NATS: known only as far as the API's own addresses of it tell.

const LOOPBACK = /^(localhost|127(\.\d+){3}|\[::1\])$/i;

/** For `--nats-url`; null if the API knows only addresses of its own machine, and the reader is on another one. */
export function natsAddress(urls: readonly string[], pageHost: string): { url: string | null; words: string } {
  const local = urls.filter((url) => LOOPBACK.test(hostOf(url)));
  if (urls.length > local.length)
    return { url: urls.filter((url) => !local.includes(url)).join(","), words: "The address of NATS is the one that this API uses; from elsewhere it may have another." };
  if (local.length > 0 && LOOPBACK.test(pageHost))
    return { url: local.join(","), words: "NATS listens on this machine only: from another one, give --nats-url the address at which you make it reachable there." };
  return { url: null, words: "Add --nats-url with the address that NATS has from there: this API knows only the one on its own machine." };
}

function hostOf(url: string): string {
  try {
    // of schemes that a browser does not know, it would not read the host in every version
    return new URL(url.replace(/^(\w+:\/\/)?/, "http://")).hostname;
  } catch {
    return "";
  }
}
