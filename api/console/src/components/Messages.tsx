import { dismiss, messages } from "../lib/messages";
import { shown } from "../lib/safe_text";
import { Icon } from "./Icon";

export function Messages() {
  return (
    <div class="messages" role="status" aria-live="polite">
      {messages.value.map((one) => (
        <p key={one.id} class={`message ${one.kind}`}>
          <span>{shown(one.text)}</span>
          <button type="button" class="bare" aria-label="dismiss" onClick={() => dismiss(one.id)}>
            <Icon name="close" />
          </button>
        </p>
      ))}
    </div>
  );
}
