/** Every scenario there is, in the order of their numbers. */
import type { Scenario } from './scenario.ts';
import { FAILURES } from './scenarios-failures.ts';

export const SCENARIOS: readonly Scenario[] = [...FAILURES].sort((a, b) => a.number - b.number);

/** By name or number. */
export function scenarioOf(text: string): Scenario | null {
  return SCENARIOS.find(({ name, number }) => name === text || String(number) === text) ?? null;
}
