import { useSignal } from "@preact/signals";
import { useId } from "preact/hooks";
import { type Schemas, post } from "../lib/api";
import { at } from "../lib/router";
import { shown, visible } from "../lib/safe_text";
import { Permitted, recorded } from "./Command";
import { TextField } from "./Form";
import { Glyph } from "./Status";
import { Ago, Moment } from "./Time";

interface QuestionProps {
  taskId: string;
  question: Schemas["QuestionRead"];
  after: () => void;
}

const ANSWER = "POST /tasks/{task_id}/questions/{question_id}/answer";

/** A job's open question, to be answered here. */
export function Question({ taskId, question, after }: QuestionProps) {
  const text = useSignal("");
  const busy = useSignal(false);
  const title = useId();
  const answer = async (body: Schemas["AnswerBody"]) => {
    busy.value = true;
    const path = { task_id: taskId, question_id: question.question_id };
    await recorded(
      () => post("/tasks/{task_id}/questions/{question_id}/answer", { path }, body),
      "Answered. The job goes on with it.",
    );
    busy.value = false;
    after();
  };
  return (
    <section class="question card" aria-labelledby={title}>
      <h2 id={title}>
        <Glyph state="asking" /> Waits for an answer{" "}
        <span class="dim">
          · asked <Ago at={question.asked_at} />
        </span>
      </h2>
      <p class="words" dir="auto">
        {visible(question.text)}
      </p>
      {at.value === null && (
        <Permitted operation={ANSWER}>
          {(missing) => {
            const off = missing !== undefined || busy.value;
            return (
              <div class="answers">
                {question.choices?.map((choice) => (
                  <button
                    key={choice}
                    type="button"
                    class="button first"
                    disabled={off}
                    aria-describedby={missing}
                    onClick={() => void answer({ choice })}
                  >
                    <bdi>{shown(choice)}</bdi>
                  </button>
                ))}
                {question.free_text && (
                  <form
                    class="free"
                    onSubmit={(event) => {
                      event.preventDefault();
                      void answer({ text: text.value });
                    }}
                  >
                    <TextField label="Your answer" required maxLength={4000} disabled={off} value={text} />
                    <button type="submit" class="button" disabled={off} aria-describedby={missing}>
                      Send
                    </button>
                  </form>
                )}
              </div>
            );
          }}
        </Permitted>
      )}
      {question.expires_at !== null && (
        <p class="dim">
          Until <Moment at={question.expires_at} />
          {question.default !== null && <>; then “{shown(question.default)}” stands</>}.
        </p>
      )}
    </section>
  );
}
