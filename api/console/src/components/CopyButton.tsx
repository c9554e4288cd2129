import { copy } from "../lib/clipboard";
import { say } from "../lib/messages";
import { Icon } from "./Icon";

interface CopyButtonProps {
  text: string;
  label: string;
  title?: string;
}

export function CopyButton({ text, label, title = text }: CopyButtonProps) {
  const copied = async () => {
    const done = await copy(text);
    say(done ? "Copied." : "The browser did not let it be copied.", done ? "good" : "bad");
  };
  return (
    <button type="button" class="bare" title={title} onClick={() => void copied()}>
      <Icon name="copy" /> {label}
    </button>
  );
}
