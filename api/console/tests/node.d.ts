// All of Node that the tests use; the console itself runs in browsers.
declare module "node:fs" {
  export function readFileSync(path: URL, encoding: "utf8"): string;
}
declare module "node:child_process" {
  export function execFileSync(file: string, args: readonly string[], options: { encoding: "utf-8"; env: Record<string, string> }): string;
}
