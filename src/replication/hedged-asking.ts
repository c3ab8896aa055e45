/**
 * Hedged asking: asks candidates in order for the same immutable thing, the next one as soon as one can't give it, and also
 * when one is silent for the grace: a peer that was cut off without a word costs the grace, not a call's whole time-out.
 * At most two are asked at a time, so that a slow network doubles the requests at worst.
 * Source: [TailAtScale] "Hedged requests".
 */
import type { Clock } from '../ports/clock.ts';

const AT_ONCE_MAX = 2;

/** What the first candidate to have it gives; null: none has it. `ask` never rejects. */
export function askHedged<C, T>(clock: Pick<Clock, 'after'>, candidates: readonly C[], graceMs: number, ask: (candidate: C) => Promise<T | null>): Promise<T | null> {
  return new Promise((resolve) => {
    let next = 0;
    let open = 0;
    let isOver = false;
    const end = (value: T | null): void => {
      isOver = true;
      resolve(value);
    };
    const askNext = (): void => {
      const candidate = candidates[next++];
      if (candidate === undefined) {
        if (open === 0) end(null);
        return;
      }
      open++;
      const grace = clock.after(graceMs, () => {
        if (!isOver && open < AT_ONCE_MAX) askNext();
      });
      void ask(candidate).then((value) => {
        grace.cancel();
        open--;
        if (isOver) return;
        if (value !== null) end(value);
        else askNext();
      });
    };
    askNext();
  });
}
