import { PAGES, type PageEntry } from "../pages";
import { Icon, Mark } from "./Icon";
import { Link } from "./Link";

/** The pages, on the left; below 720 px a bar at the bottom. */
export function Rail({ current }: { current: PageEntry | null }) {
  return (
    <nav class="rail" aria-label="Pages">
      <Link to="/" class="brand">
        <Mark />
        <span>Towpath</span>
      </Link>
      <ul>
        {PAGES.map(({ path, title, nav }) => {
          if (nav === undefined) return null;
          const here = current?.path === path || current?.path.startsWith(`${path}/`);
          return (
            <li key={path}>
              <Link to={path} current={here === true}>
                <Icon name={nav.icon} />
                <span>{title}</span>
              </Link>
            </li>
          );
        })}
      </ul>
    </nav>
  );
}
