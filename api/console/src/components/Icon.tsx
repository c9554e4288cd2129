// The signs of the frame; those of states are in Status.tsx.
const PATHS = {
  overview: "M2 2.5h5v6H2zM9.5 2.5H14v3.7H9.5zM9.5 8.7H14v4.8H9.5zM2 11h5v2.5H2z",
  tasks: "M2.5 4h1M2.5 8h1M2.5 12h1M6 4h7.5M6 8h7.5M6 12h7.5",
  locks: "M2.5 1.8v12.4M13.5 1.8v12.4M2.5 3.2 7 8l-4.5 4.8M13.5 3.2 9 8l4.5 4.8",
  workspaces: "M1.8 12.8V3.2h4.4l1.6 2h6.4v7.6z",
  runners: "M2 2.5h12v4.5H2zM2 9h12v4.5H2zM4.6 4.8v.1M4.6 11.3v.1",
  prompt: "m2.5 3.5 4.5 4.5-4.5 4.5M8.5 12.5h5",
  log: "M3.5 1.8h9v12.4h-9zM6 5h4M6 8h4M6 11h2.5",
  notices: "M3 11.5c1-1 1.3-2 1.3-4.6a3.7 3.7 0 0 1 7.4 0c0 2.6.3 3.6 1.3 4.6zM6.5 13.8c.8.8 2.2.8 3 0",
  evidence: "M8 1.6 13.4 3.6v4.2c0 3.4-2.3 5.6-5.4 6.6-3.1-1-5.4-3.2-5.4-6.6V3.6zM5.4 8l1.9 2 3.4-4",
  search: "M7 12.2A5.2 5.2 0 1 0 7 1.8a5.2 5.2 0 0 0 0 10.4zM10.8 10.8l3.4 3.4",
  auto: "M8 1.8a6.2 6.2 0 1 0 0 12.4zM8 1.8a6.2 6.2 0 0 1 0 12.4",
  light: "M8 5a3 3 0 1 0 0 6 3 3 0 0 0 0-6zM8 1v1.6M8 13.4V15M1 8h1.6M13.4 8H15M3.1 3.1l1.1 1.1M11.8 11.8l1.1 1.1M3.1 12.9l1.1-1.1M11.8 4.2l1.1-1.1",
  dark: "M13.6 9.6A6 6 0 0 1 6.4 2.4a6 6 0 1 0 7.2 7.2z",
  person: "M8 8.2a3 3 0 1 0 0-6 3 3 0 0 0 0 6zM2.4 14.2c.6-3 2.8-4.2 5.6-4.2s5 1.2 5.6 4.2",
  clock: "M8 14.2A6.2 6.2 0 1 0 8 1.8a6.2 6.2 0 0 0 0 12.4zM8 4.4V8l2.6 1.6",
  close: "m4 4 8 8m0-8-8 8",
  pause: "M5 3v10M11 3v10",
  follow: "M8 2.5v9m-4-4 4 4 4-4M3 14h10",
  download: "M8 2v8m-3.5-3.5L8 10l3.5-3.5M2.5 13.5h11",
  copy: "M5.5 5.5h8v8h-8zM10.5 5.5v-3h-8v8h3",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg class="icon" viewBox="0 0 16 16" aria-hidden="true">
      <path d={PATHS[name]} />
    </svg>
  );
}

/** The mark: a pair of canal-lock gates. */
export function Mark() {
  return (
    <svg class="mark" viewBox="0 0 32 32" aria-hidden="true">
      <path d="M5 6v20M27 6v20M6 8l9 8-9 8M26 8l-9 8 9 8" />
    </svg>
  );
}
