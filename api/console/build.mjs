// Bundles src/ and styles/ into dist/: files below a/<digest>/, compressed once here, and the page that names them.
// `roles.ts` comes from the OpenAPI document, so that the console asks nobody which role a command needs.
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import { build } from "esbuild";

const here = fileURLToPath(new URL(".", import.meta.url));
const openapi = JSON.parse(readFileSync(`${here}../../infra/contracts/openapi.json`, "utf8"));

const roles = {};
for (const [path, item] of Object.entries(openapi.paths))
  for (const [method, operation] of Object.entries(item))
    if (operation["x-required-role"]) roles[`${method.toUpperCase()} ${path}`] = operation["x-required-role"];
mkdirSync(`${here}src/generated`, { recursive: true });
writeFileSync(
  `${here}src/generated/roles.ts`,
  `// Written by build.mjs from the OpenAPI document.\nexport const ROLES = ${JSON.stringify(roles, null, 2)} as const;\n`,
);

const made = await build({
  absWorkingDir: here,
  entryPoints: { console: "src/main.tsx", "feed-worker": "src/feed_worker.ts", style: "styles/style.css" },
  bundle: true,
  minify: true,
  write: false,
  outdir: "out",
  format: "esm",
  target: ["es2022", "chrome123", "firefox128", "safari17.5"],
  jsx: "automatic",
  jsxImportSource: "preact",
  legalComments: "none",
  logLevel: "warning",
});
const files = new Map(made.outputFiles.map((file) => [file.path.split("/").at(-1), Buffer.from(file.contents)]));

const whole = createHash("sha256");
for (const name of [...files.keys()].sort()) whole.update(name).update(files.get(name));
const digest = whole.digest("hex").slice(0, 16);

// Made beside the old bundle and moved into its place, so that a running API never serves half of one.
const fresh = `${here}dist.new`;
rmSync(fresh, { recursive: true, force: true });
mkdirSync(`${fresh}/a/${digest}`, { recursive: true });
let sum = 0;
for (const [name, bytes] of files) {
  const zipped = gzipSync(bytes, { level: 9 });
  sum += zipped.length;
  const packed = brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length } });
  writeFileSync(`${fresh}/a/${digest}/${name}`, bytes);
  writeFileSync(`${fresh}/a/${digest}/${name}.gz`, zipped);
  writeFileSync(`${fresh}/a/${digest}/${name}.br`, packed);
}
// In the page itself: 267 bytes are not worth a request of their own.
const mark = `data:image/svg+xml;base64,${readFileSync(`${here}static/mark.svg`).toString("base64")}`;
const page = readFileSync(`${here}index.html`, "utf8")
  .replaceAll("%FILES%", `%ROOT%/console/a/${digest}`)
  .replaceAll("%MARK%", mark);
writeFileSync(`${fresh}/index.html`, page);
rmSync(`${here}dist`, { recursive: true, force: true });
renameSync(fresh, `${here}dist`);
console.log(`console: ${[...files.keys()].join(", ")}; ${(sum / 1024).toFixed(1)} KB gzipped`);
