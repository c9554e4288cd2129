import { shown } from "../lib/safe_text";

/** Paths as people write them. */
export function Paths({ of: paths }: { of: readonly string[] }) {
  if (paths.length === 0) return <span>the whole workspace</span>;
  const named = paths.slice(0, 3).map(shown);
  return (
    <bdi class="mono">
      {named.join(" ")}
      {paths.length > named.length && ` and ${paths.length - named.length} more`}
    </bdi>
  );
}
