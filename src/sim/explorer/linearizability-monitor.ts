/**
 * Linearizability as a part of the state: instead of a history, the set of all configurations that could explain it so far
 * (a value, and which open operations have taken effect already, with what result). An operation that returns keeps the
 * configurations that can give its result; when none is left, no order of the operations explains what was seen. An
 * operation whose outcome nobody learned stays open, may take effect at any time, and never has to.
 *
 * Equal sets are one number, and steps are remembered, so a search pays for each only once.
 * Source: [WGL] "Testing for Linearizability" (just-in-time linearization); the sequential model is that of the simulator's checker.
 */
import { must } from '../../domain/assert.ts';
import { OBJECT_MODEL, type ModelOp, type ModelResult, type ObjectCell } from '../checkers/object-model.ts';
import { Memo } from './interner.ts';

interface Configuration {
  readonly cell: ObjectCell;
  /** Result of each open operation that has taken effect, by index; null: it hasn't. */
  readonly effects: readonly (string | null)[];
}

interface MonitorState {
  /** Indexes of the operations called and not returned. */
  readonly open: readonly number[];
  readonly configurations: readonly Configuration[];
}

/** No configuration is left. */
export const VIOLATED = 0;

const RESULTS: readonly ModelResult[] = [
  { kind: 'stored', isCreated: true }, { kind: 'stored', isCreated: false }, { kind: 'precondition-failed' },
  { kind: 'deleted', wasPresent: true }, { kind: 'deleted', wasPresent: false },
];

export class LinearizabilityMonitor {
  readonly #ops: readonly ModelOp[];
  readonly #states: MonitorState[] = [{ open: [], configurations: [] }];
  readonly #ids = new Map<string, number>([['', VIOLATED]]);
  readonly #invoked = new Memo<number>();
  readonly #returned = new Map<string, number>();
  readonly #readable = new Map<number, ReadonlySet<string | null>>();
  readonly initial: number;

  /** `initial`: tag of the value that is there at the beginning. */
  constructor(ops: readonly ModelOp[], initial: string | null) {
    this.#ops = ops;
    this.initial = this.#id({ open: [], configurations: [{ cell: { tag: initial }, effects: ops.map(() => null) }] });
  }

  get size(): number {
    return this.#states.length;
  }

  invoke(state: number, op: number): number {
    return this.#invoked.get(state, op, () => {
      const { open, configurations } = this.#state(state);
      return this.#id({ open: [...open, op].sort((a, b) => a - b), configurations });
    });
  }

  return(state: number, op: number, result: ModelResult): number {
    const text = resultText(result);
    const key = `${state} ${op} ${text}`;
    const known = this.#returned.get(key);
    if (known !== undefined) return known;
    const { open } = this.#state(state);
    const kept = this.#reachable(state).filter(({ effects }) => effects[op] === text)
      .map(({ cell, effects }) => ({ cell, effects: effects.with(op, null) }));
    const next = kept.length === 0 ? VIOLATED : this.#id({ open: open.filter((other) => other !== op), configurations: kept });
    this.#returned.set(key, next);
    return next;
  }

  /** Whether a get that began and ended here might return this value. */
  mayRead(state: number, tag: string | null): boolean {
    let tags = this.#readable.get(state);
    if (tags === undefined) {
      tags = new Set(this.#reachable(state).map(({ cell }) => cell.tag));
      this.#readable.set(state, tags);
    }
    return tags.has(tag);
  }

  /** All configurations after any of the open operations has taken effect, in any order. */
  #reachable(state: number): readonly Configuration[] {
    const { open, configurations } = this.#state(state);
    const found = new Map(configurations.map((configuration) => [configurationText(configuration), configuration]));
    for (const { cell, effects } of found.values()) {
      for (const op of open) {
        if (effects[op] !== null) continue;
        const after = this.#effect(cell, op);
        const next = { cell: after.cell, effects: effects.with(op, resultText(after.result)) };
        found.set(configurationText(next), found.get(configurationText(next)) ?? next);
      }
    }
    return [...found.values()];
  }

  #effect(cell: ObjectCell, index: number): { readonly cell: ObjectCell; readonly result: ModelResult } {
    const op = must(this.#ops[index], 'the operation');
    if (op.kind === 'get') return { cell, result: { kind: 'value', tag: cell.tag } };
    for (const result of RESULTS) {
      const next = OBJECT_MODEL.step(cell, op, result);
      if (next !== null) return { cell: next, result };
    }
    throw new Error('every operation has a result in every state');
  }

  #state(id: number): MonitorState {
    return must(this.#states[id], 'the monitor state');
  }

  #id(state: MonitorState): number {
    const unique = new Map(state.configurations.map((configuration) => [configurationText(configuration), configuration]));
    const text = `${state.open.join(',')}:${[...unique.keys()].sort().join(';')}`;
    const known = this.#ids.get(text);
    if (known !== undefined) return known;
    const id = this.#states.length;
    this.#ids.set(text, id);
    this.#states.push({ open: state.open, configurations: [...unique.values()] });
    return id;
  }
}

function configurationText({ cell, effects }: Configuration): string {
  return `${OBJECT_MODEL.text(cell)} ${effects.map((effect) => effect ?? '.').join(' ')}`;
}

export function resultText(result: ModelResult): string {
  switch (result.kind) {
    case 'stored': return result.isCreated ? 'created' : 'replaced';
    case 'deleted': return result.wasPresent ? 'deleted' : 'nothing-to-delete';
    case 'precondition-failed': return 'precondition-failed';
    case 'value': return `value=${result.tag ?? '-'}`;
  }
}
