/**
 * Linearizability checker: whether a concurrent history of one object can be put in an order that a sequential model
 * allows and that respects real time. Wing and Gong's search with Lowe's memory of (linearized set, state) pairs, key by
 * key, because operations on different keys commute.
 *
 * An operation without a return (outcome unknown) may take effect at any time after its call or never: it stays
 * pending for ever and need not be linearized. Operations that certainly had no effect and told nothing are left out by
 * the caller. The search is bounded: beyond `stepsMax` the answer is `undecided`, never a guess.
 *
 * Cost: exponential in the number of operations that overlap, linear in the length of the history in practice.
 * Source: [Porcupine] "Linearizability checking"; [Lowe] "Testing for linearizability".
 */
export interface HistoryEntry<Op, Result> {
  readonly client: string;
  readonly key: string;
  readonly op: Op;
  readonly invokeAt: number;
  /** Null: no answer, or one that says that the outcome is unknown. */
  readonly returnAt: number | null;
  /** Null exactly when `returnAt` is. */
  readonly result: Result | null;
}

export interface SequentialModel<State, Op, Result> {
  readonly initial: State;
  /** The state after the operation, or null when it can't have this result in this state. Result null: unknown. */
  step(state: State, op: Op, result: Result | null): State | null;
  /** Equal texts, equal states. */
  text(state: State): string;
}

export type LinearizabilityVerdict<Op, Result> =
  | { readonly kind: 'linearizable' }
  /** `prefix`: the longest order found; `stuck`: what could not be placed next. */
  | { readonly kind: 'violation'; readonly key: string; readonly prefix: readonly HistoryEntry<Op, Result>[]; readonly stuck: readonly HistoryEntry<Op, Result>[] }
  | { readonly kind: 'undecided'; readonly key: string };

export function checkLinearizability<State, Op, Result>(
  history: readonly HistoryEntry<Op, Result>[],
  model: SequentialModel<State, Op, Result>,
  stepsMax: number,
): LinearizabilityVerdict<Op, Result> {
  for (const [key, entries] of Map.groupBy(history, (entry) => entry.key)) {
    const verdict = checkKey(key, entries, model, stepsMax);
    if (verdict.kind !== 'linearizable') return verdict;
  }
  return { kind: 'linearizable' };
}

interface Frame<State> {
  readonly index: number;
  readonly state: State;
}

function checkKey<State, Op, Result>(
  key: string,
  unsorted: readonly HistoryEntry<Op, Result>[],
  model: SequentialModel<State, Op, Result>,
  stepsMax: number,
): LinearizabilityVerdict<Op, Result> {
  const entries = unsorted.toSorted((a, b) => a.invokeAt - b.invokeAt);
  const done = new Uint8Array(entries.length);
  let completedLeft = entries.filter((entry) => entry.returnAt !== null).length;
  const seen = new Set<string>();
  const stack: Frame<State>[] = [];
  let best: { prefix: HistoryEntry<Op, Result>[]; stuck: HistoryEntry<Op, Result>[] } | null = null;
  let state = model.initial;
  let first = 0;
  let from = 0;
  let steps = 0;

  /** Text of which entries are linearized: all before `first` are. */
  const memoText = (next: State): string => {
    let text = `${first}:`;
    for (let i = first; i < entries.length; i++) if (done[i] === 1) text += `${i},`;
    return text + model.text(next);
  };

  while (completedLeft > 0) {
    if (++steps > stepsMax) return { kind: 'undecided', key };
    // An entry may come next when it was called before every other open entry returned.
    let earliestReturn = Infinity;
    for (let i = first; i < entries.length; i++) {
      const entry = entries[i];
      if (entry === undefined || entry.invokeAt > earliestReturn) break;
      if (done[i] === 0 && entry.returnAt !== null && entry.returnAt < earliestReturn) earliestReturn = entry.returnAt;
    }
    let placed = false;
    for (let i = Math.max(from, first); i < entries.length; i++) {
      const entry = entries[i];
      if (entry === undefined || entry.invokeAt > earliestReturn) break;
      if (done[i] === 1) continue;
      const next = model.step(state, entry.op, entry.result);
      if (next === null || (entry.returnAt === null && model.text(next) === model.text(state))) continue;
      done[i] = 1;
      const memo = memoText(next);
      if (seen.has(memo)) {
        done[i] = 0;
        continue;
      }
      seen.add(memo);
      stack.push({ index: i, state });
      if (entry.returnAt !== null) completedLeft--;
      state = next;
      while (done[first] === 1) first++;
      from = 0;
      placed = true;
      break;
    }
    if (placed) continue;
    if (best === null || stack.length > best.prefix.length) {
      const isOpen = (entry: HistoryEntry<Op, Result>, i: number): boolean => done[i] === 0 && entry.invokeAt <= earliestReturn;
      best = { prefix: stack.flatMap((frame) => entries[frame.index] ?? []), stuck: entries.filter(isOpen) };
    }
    const frame = stack.pop();
    if (frame === undefined) return { kind: 'violation', key, ...best };
    done[frame.index] = 0;
    if (entries[frame.index]?.returnAt !== null) completedLeft++;
    state = frame.state;
    first = Math.min(first, frame.index);
    from = frame.index + 1;
  }
  return { kind: 'linearizable' };
}
