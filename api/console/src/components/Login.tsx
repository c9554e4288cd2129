import { useSignal } from "@preact/signals";
import { useId } from "preact/hooks";
import { Problem } from "../lib/api";
import { logIn } from "../lib/session";
import { Mark } from "./Icon";
import { Dialog } from "./Dialog";
import { TextField } from "./Form";

/** The login, over the page that asked for it: what was typed and scrolled there stays. */
export function Login() {
  const token = useSignal("");
  const busy = useSignal(false);
  const wrong = useSignal<string | null>(null);
  const words = useId();
  const submit = async (event: Event) => {
    event.preventDefault();
    busy.value = true;
    wrong.value = null;
    try {
      await logIn(token.value.trim());
    } catch (error) {
      const unknown = error instanceof Problem && error.status === 401;
      wrong.value = unknown ? "This is none of the API's tokens." : error instanceof Error ? error.message : String(error);
    }
    busy.value = false;
  };
  return (
    <Dialog title="Log in to Towpath">
      <form class="login" onSubmit={(event) => void submit(event)}>
        <Mark />
        <p id={words}>
          Paste your token: what stands behind the colon of your entry in <code>TOWPATH_API_TOKENS</code>. This browser stays
          logged in for 12 hours.
        </p>
        <input type="text" autocomplete="username" hidden readOnly value="towpath" />
        <TextField
          label="Token"
          type="password"
          autocomplete="current-password"
          required
          autofocus
          spellcheck={false}
          aria-describedby={words}
          aria-invalid={wrong.value !== null}
          value={token}
        />
        <p class="wrong" role="alert">
          {wrong}
        </p>
        <button type="submit" class="button first" disabled={busy.value}>
          Log in
        </button>
      </form>
    </Dialog>
  );
}
