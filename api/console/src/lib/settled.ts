import { useSignal, type Signal } from "@preact/signals";
import { useEffect } from "preact/hooks";

/** `value` once it has stayed the same for so long. */
export function useSettled<T>(value: T, key: string, milliseconds: number): Signal<T> {
  const settled = useSignal(value);
  useEffect(() => {
    const timer = setTimeout(() => {
      settled.value = value;
    }, milliseconds);
    return () => clearTimeout(timer);
  }, [key]);
  return settled;
}
