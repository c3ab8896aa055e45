/**
 * What a swarm did, summed up: how many runs, how often each fault happened and each operation ended how. A count of
 * zero where something should have happened means that the swarm proves less than it says.
 */
import { FAULT_KINDS } from './fault.ts';
import type { WholeNodeRunResult } from './whole-node-run.ts';

/** Ends of operations that every swarm of some size must have seen. */
const EXPECTED_ENDS: readonly string[] = [
  'get value', 'put stored', 'put large stored', 'put precondition-failed', 'put large unknown', 'delete deleted', 'delete precondition-failed',
  'read whole complete', 'read range complete', 'upload breaks off', 'upload refused at the end', 'upload too short', 'list complete',
];

export interface SwarmTotals {
  readonly seeds: number;
  readonly events: number;
  readonly virtualMs: number;
  readonly counts: Readonly<Record<string, number>>;
}

export const NO_TOTALS: SwarmTotals = { seeds: 0, events: 0, virtualMs: 0, counts: {} };

export function addRun(totals: SwarmTotals, run: WholeNodeRunResult): SwarmTotals {
  return addTotals(totals, { seeds: 1, events: run.events, virtualMs: run.virtualMs, counts: Object.fromEntries(run.counts) });
}

export function addTotals(a: SwarmTotals, b: SwarmTotals): SwarmTotals {
  const counts: Record<string, number> = { ...a.counts };
  for (const [name, count] of Object.entries(b.counts)) counts[name] = (counts[name] ?? 0) + count;
  return { seeds: a.seeds + b.seeds, events: a.events + b.events, virtualMs: a.virtualMs + b.virtualMs, counts };
}

/** Faults and ends of operations that never happened. */
export function missing(totals: SwarmTotals): readonly string[] {
  return [...FAULT_KINDS, ...EXPECTED_ENDS].filter((name) => (totals.counts[name] ?? 0) === 0);
}

export function totalsText(totals: SwarmTotals): string {
  const lines = Object.entries(totals.counts)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, count]) => `  ${name.padEnd(28)} ${String(count).padStart(8)}`);
  const head = `${totals.seeds} seeds, ${totals.events} events, ${Math.round(totals.virtualMs / 1000)} virtual seconds`;
  return [head, ...lines].join('\n');
}
