// All of Node that the tests use; the console itself runs in browsers.
declare module "node:fs" {
  export function readFileSync(path: URL, encoding: "utf8"): string;
}
