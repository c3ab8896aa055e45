/**
 * What the canary remembers, as text: kept in the ring itself beside the objects, and written before each write leaves.
 * So after a restart a write under way counts as one without an outcome, and nothing that was acknowledged is forgotten
 * but what the last write's answer said. Totals of what was found are kept too: a restart doesn't make a loss unseen.
 */
import { NOTHING_KNOWN, type Expectation, type Write } from './expectation.ts';

/** What is never right, counted since the set exists. */
export interface Findings {
  readonly lost: number;
  readonly stale: number;
  readonly corrupt: number;
  readonly resurrected: number;
  readonly unexpected: number;
}

export interface SlotState {
  /** Which name of this slot is in use: another one when too many outcomes of the last are unknown. */
  readonly generation: number;
  readonly expectation: Expectation;
}

export interface CanaryState {
  readonly seed: string;
  /** The process that wrote it. */
  readonly run: string;
  readonly findings: Findings;
  readonly slots: readonly SlotState[];
}

export const NO_FINDINGS: Findings = { lost: 0, stale: 0, corrupt: 0, resurrected: 0, unexpected: 0 };
export const NEW_SLOT: SlotState = { generation: 0, expectation: NOTHING_KNOWN };

const FORMAT = 1;

/** The name of the object that keeps it. */
export function stateName(prefix: string): string {
  return `${prefix}state`;
}

export function stateText({ seed, run, findings, slots }: CanaryState): string {
  return JSON.stringify({
    format: FORMAT, seed, run, findings,
    slots: slots.map(({ generation, expectation: { settled, next, pending } }) => [generation, settled, next, pending.map(({ result, replaces }) => [result, replaces])]),
  });
}

/** Null: it is no state of this format. Doubts are not kept: they begin again. */
export function parseState(text: string): CanaryState | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (!isRecord(value) || value['format'] !== FORMAT) return null;
  const { seed, run, findings, slots } = value;
  if (typeof seed !== 'string' || !/^[0-9a-f]{1,64}$/.test(seed) || typeof run !== 'string' || !isRecord(findings) || !Array.isArray(slots)) return null;
  const parsed = slots.map(parseSlot);
  const counts = (['lost', 'stale', 'corrupt', 'resurrected', 'unexpected'] as const).map((name) => [name, findings[name]] as const);
  if (parsed.includes(null) || !counts.every(([, count]) => isCount(count))) return null;
  return { seed, run, findings: { ...NO_FINDINGS, ...Object.fromEntries(counts) }, slots: parsed.filter((slot) => slot !== null) };
}

function parseSlot(value: unknown): SlotState | null {
  if (!Array.isArray(value)) return null;
  const [generation, settled, next, pending] = value as unknown[];
  if (!isCount(generation) || !(settled === null || isCount(settled)) || !isCount(next) || !Array.isArray(pending)) return null;
  const writes: Write[] = [];
  for (const pair of pending as unknown[]) {
    if (!Array.isArray(pair) || !isCount(pair[0]) || !isCount(pair[1])) return null;
    writes.push({ result: pair[0], replaces: pair[1] });
  }
  return { generation, expectation: { settled, next, pending: writes, doubt: null } };
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}
