/**
 * A directory that another process holds is waited for, a while: after the forced deletion of a pod, or the kill of a process by a
 * service manager, the next life of a node may start before the kernel has ended the last one. To give up at once would turn
 * that moment into a row of failed starts with growing pauses between them.
 */
import { elapsedMs } from '../domain/instant.ts';
import type { Clock } from '../ports/clock.ts';

export interface LockWaitOptions {
  /** Milliseconds until it is given up: more than a forced deletion takes. */
  readonly waitMs: number;
  readonly retryMs: number;
}

/** Opens again as long as the outcome is `in-use` and the wait isn't over; `onWait` is told once, before the first wait. */
export async function openWhenFree<T extends { readonly kind: string }>(clock: Clock, { waitMs, retryMs }: LockWaitOptions, open: () => Promise<T>, onWait: () => void): Promise<T> {
  const beganAt = clock.monotonicNow();
  for (let attempt = 1; ; attempt++) {
    const outcome = await open();
    if (outcome.kind !== 'in-use' || elapsedMs(beganAt, clock.monotonicNow()) >= waitMs) return outcome;
    if (attempt === 1) onWait();
    await new Promise<void>((resolve) => { clock.after(retryMs, resolve); });
  }
}
