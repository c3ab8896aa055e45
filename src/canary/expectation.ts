/**
 * What one object may hold, as far as its only writer can know: a register with writes of unknown outcome.
 *
 * Every write is conditional: it names the version it replaces, so a write whose answer never came applies, however late,
 * only where that version still is. `settled` was certain once (acknowledged or read); each write without a known outcome
 * leads from one version to another. What can be there now is whatever these writes reach from `settled`, each applied or
 * not. Anything else is wrong, and read again before it is called by its name: an answer that comes right was stale, one
 * that stays is a loss. Absence is version 0 and can come again, so a create without an outcome stays possible for ever.
 *
 * Pure. Bound: PENDING_MAX writes without an outcome; the owner then takes another name.
 * Source: [Herlihy & Wing 1990], as a single writer sees it; [Jepsen] "indeterminate" operations.
 */

/** Versions of one object count from 1. */
export type Version = number;
export const ABSENT: Version = 0;

/** `result` takes the place of `replaces`; ABSENT as result is a delete, as `replaces` a create. */
export interface Write {
  readonly result: Version;
  readonly replaces: Version;
}

/** Answers that can't be, since the last one that could. */
interface Doubt {
  readonly seen: Version;
  readonly reads: number;
  /** Milliseconds on the monotonic clock. */
  readonly sinceMs: number;
}

export interface Expectation {
  /** Null: nothing is known yet; whatever is read first is taken. */
  readonly settled: Version | null;
  /** Writes that may or may not have been applied. */
  readonly pending: readonly Write[];
  /** The version that the next write makes. */
  readonly next: Version;
  readonly doubt: Doubt | null;
}

/** stale: `reads` answers were older than what was acknowledged, and then they were right. unexpected: nobody here wrote it. */
export type Verdict =
  | { readonly kind: 'expected' }
  | { readonly kind: 'doubtful' }
  | { readonly kind: 'stale'; readonly reads: number }
  | { readonly kind: 'lost' }
  | { readonly kind: 'resurrected' }
  | { readonly kind: 'unexpected' };

export interface DoubtRules {
  /** Wrong answers, and milliseconds of them, until what they say is believed. */
  readonly readsMin: number;
  readonly forMs: number;
}

export const PENDING_MAX = 4;
export const NOTHING_KNOWN: Expectation = { settled: null, pending: [], next: 1, doubt: null };

/** Whether it can be written: what is there is known, and there is room for one more unknown outcome. */
export function isWritable({ settled, pending, doubt }: Expectation): boolean {
  return settled !== null && doubt === null && pending.length < PENDING_MAX;
}

/** What may be there now; null: anything. */
export function possible({ settled, pending }: Expectation): ReadonlySet<Version> | null {
  return settled === null ? null : reachable(settled, pending);
}

/** A write is about to leave: from now on it may apply. */
export function begun(expectation: Expectation, how: 'store' | 'delete'): { readonly expectation: Expectation; readonly write: Write } {
  const { settled, pending, next } = expectation;
  if (settled === null) throw new Error('what is there is not known');
  const write = { result: how === 'delete' ? ABSENT : next, replaces: settled };
  return { expectation: { ...expectation, pending: [...pending, write], next: how === 'delete' ? next : next + 1 }, write };
}

/** Acknowledged: what it replaced was there, and nothing that leads from there can apply any more. */
export function acknowledged(expectation: Expectation, write: Write): Expectation {
  return settledAt(expectation, without(expectation.pending, write), write.result);
}

/** Certainly not applied. What the refusal says of the present state a read has to confirm. */
export function refused(expectation: Expectation, write: Write): Expectation {
  return { ...expectation, pending: without(expectation.pending, write) };
}

/** A whole body was read, or its absence, while no write of this object was under way here. */
export function observed(expectation: Expectation, seen: Version, nowMs: number, rules: DoubtRules): { readonly expectation: Expectation; readonly verdict: Verdict } {
  const { settled, pending, next, doubt } = expectation;
  const can = possible(expectation);
  if (seen >= next) {
    // Its own memory is older than the object: after a restart without its last state, or a second writer.
    const known = { ...expectation, next: seen + 1 };
    return { expectation: settledAt(known, pending, seen), verdict: { kind: settled === null ? 'expected' : 'unexpected' } };
  }
  if (can === null || can.has(seen)) {
    return { expectation: settledAt(expectation, applied(pending, seen), seen), verdict: doubt === null ? { kind: 'expected' } : { kind: 'stale', reads: doubt.reads } };
  }
  const now: Doubt = { seen, reads: (doubt?.reads ?? 0) + 1, sinceMs: doubt?.sinceMs ?? nowMs };
  if (now.reads < rules.readsMin || nowMs - now.sinceMs < rules.forMs) return { expectation: { ...expectation, doubt: now }, verdict: { kind: 'doubtful' } };
  // Believed, so that it counts once.
  return { expectation: settledAt(expectation, pending, seen), verdict: { kind: settled === ABSENT ? 'resurrected' : 'lost' } };
}

function settledAt(expectation: Expectation, pending: readonly Write[], settled: Version): Expectation {
  const can = reachable(settled, pending);
  // A version never comes back; absence may.
  return { ...expectation, settled, doubt: null, pending: pending.filter(({ replaces }) => replaces === ABSENT || can.has(replaces)) };
}

function reachable(from: Version, pending: readonly Write[]): ReadonlySet<Version> {
  const versions = new Set([from]);
  for (let before = 0; before < versions.size;) {
    before = versions.size;
    for (const { result, replaces } of pending) if (versions.has(replaces)) versions.add(result);
  }
  return versions;
}

/** Without the writes that must have led to what was seen. */
function applied(pending: readonly Write[], seen: Version): readonly Write[] {
  const last = seen === ABSENT ? undefined : pending.find(({ result }) => result === seen);
  return last === undefined ? pending : applied(without(pending, last), last.replaces);
}

function without(pending: readonly Write[], write: Write): readonly Write[] {
  // This one alone: two deletes of one version look the same.
  return pending.filter((one) => one !== write);
}
