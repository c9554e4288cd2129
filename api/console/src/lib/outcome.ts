import { Problem, Unreachable } from "./api";

/** Whether an error leaves open what became of a command. */
export function isUnknown(error: unknown): boolean {
  return error instanceof Unreachable || (error instanceof Problem && error.status === 503);
}
