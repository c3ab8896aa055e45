/**
 * Exhaustive search: breadth first over all states that can be reached, each visited once. A state is a short string of
 * packed numbers; states that differ only by a symmetry (which replica is called A) are one. The first violation found
 * is one of the shortest, and is told as a trace: from the beginning again, choosing at each step the action that leads
 * to the next state on the way.
 *
 * Cost: one string and one map entry a state (about 150 bytes). The search is bounded by `statesMax`; a report says whether
 * it saw everything. Source: [Holzmann] "State space search"; protocol section H.3.
 */
import { must } from '../../domain/assert.ts';

export interface StateSpace {
  readonly initial: string;
  /** Calls `visit` with each state that one action leads to. The text of the action is made only for a trace. */
  successors(state: string, visit: (next: string, action: () => string) => void): void;
  /** The same string for all states that are alike up to symmetry. */
  canonical(state: string): string;
  /** What is wrong in this state; null: nothing. */
  violation(state: string): string | null;
}

export interface SearchReport {
  readonly states: number;
  readonly transitions: number;
  /** Actions on the longest of the shortest ways to a state. */
  readonly depth: number;
  /** False: `statesMax` ended the search. */
  readonly isComplete: boolean;
  /** Null: no state is wrong. */
  readonly violation: { readonly what: string; readonly trace: readonly string[] } | null;
}

export function search(space: StateSpace, statesMax: number): SearchReport {
  const states: string[] = [];
  const parents: number[] = [];
  const known = new Set<string>();
  const add = (state: string, parent: number): boolean => {
    if (known.has(state)) return false;
    known.add(state);
    states.push(state);
    parents.push(parent);
    return true;
  };
  add(space.canonical(space.initial), -1);
  let transitions = 0;
  let depth = 0;
  let levelEnd = 1;
  for (let at = 0; at < states.length; at++) {
    if (at === levelEnd) {
      depth++;
      levelEnd = states.length;
    }
    const state = states[at] as string;
    const what = space.violation(state);
    if (what !== null) {
      return { states: states.length, transitions, depth, isComplete: false, violation: traced(space, wayTo(states, parents, at)) };
    }
    if (states.length >= statesMax) return { states: states.length, transitions, depth, isComplete: false, violation: null };
    space.successors(state, (next) => {
      transitions++;
      add(space.canonical(next), at);
    });
  }
  return { states: states.length, transitions, depth, isComplete: true, violation: null };
}

function wayTo(states: readonly string[], parents: readonly number[], end: number): string[] {
  const way: string[] = [];
  for (let at = end; at >= 0; at = parents[at] as number) way.push(states[at] as string);
  return way.reverse();
}

/** The actions along the way, and what is wrong at its end, on one state from the beginning, so that names keep their meaning. */
function traced(space: StateSpace, way: readonly string[]): NonNullable<SearchReport['violation']> {
  const trace: string[] = [];
  let state = space.initial;
  for (const goal of way.slice(1)) {
    const steps: { readonly next: string; readonly action: string }[] = [];
    space.successors(state, (next, action) => {
      if (steps.length === 0 && space.canonical(next) === goal) steps.push({ next, action: action() });
    });
    const step = must(steps[0], 'the next step of a trace');
    trace.push(step.action);
    state = step.next;
  }
  return { what: must(space.violation(state), 'the violation'), trace };
}
