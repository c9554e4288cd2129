// Starts the console: the session, the clock, the links, and the frame with the page that the address names.
import { render } from "preact";
import { Frame } from "./components/Frame";
import { startFeed } from "./lib/feed/feed";
import { followKeys } from "./lib/keys";
import { tick } from "./lib/clock";
import { followLinks } from "./lib/router";
import { paintTheme } from "./lib/theme";
import { watchVersion } from "./lib/version";

paintTheme();
tick();
followLinks();
followKeys();
watchVersion();
startFeed();
const app = document.querySelector("#app");
if (app !== null) render(<Frame />, app);
