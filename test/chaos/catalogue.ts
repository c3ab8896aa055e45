/** Every scenario there is, in the order of their numbers. */
import type { Scenario } from './scenario.ts';
import { FAILURES, KILL_FIGURES } from './scenarios-failures.ts';
import { FAULTS } from './scenarios-faults.ts';
import { MEMBERS } from './scenarios-members.ts';
import { API_AWAY } from './scenarios-random.ts';
import { UPGRADES } from './scenarios-upgrades.ts';

export const SCENARIOS: readonly Scenario[] = [...FAILURES, KILL_FIGURES, ...MEMBERS, ...FAULTS, ...UPGRADES, API_AWAY].sort((a, b) => a.number - b.number);

/** By name or number. */
export function scenarioOf(text: string): Scenario | null {
  return SCENARIOS.find(({ name, number }) => name === text || String(number) === text) ?? null;
}
