import type { ComponentChildren } from "preact";
import { shortId } from "../lib/format";
import { type Params, href } from "../lib/router";
import { shown } from "../lib/safe_text";

interface LinkProps {
  to: string;
  params?: Params;
  class?: string;
  title?: string;
  /** Whether it leads to the page that is shown. */
  current?: boolean;
  children: ComponentChildren;
}

/** A link to another page of the console. */
export function Link({ to, params, current, children, ...rest }: LinkProps) {
  return (
    <a href={href(to, params)} aria-current={current ? "page" : undefined} {...rest}>
      {children}
    </a>
  );
}

/** A task by its title, or by the end of its id. */
export function TaskLink({ id, title }: { id: string; title?: string | null }) {
  return (
    <Link to={`/tasks/${id}`} title={id} class={title ? "" : "mono"}>
      <bdi>{title ? shown(title) : shortId(id)}</bdi>
    </Link>
  );
}
