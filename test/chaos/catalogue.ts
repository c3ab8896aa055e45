/** Every scenario there is, in the order of their numbers. */
import type { Scenario } from './scenario.ts';
import { FAILURES, KILL_FIGURES } from './scenarios-failures.ts';
import { FAULTS } from './scenarios-faults.ts';
import { MEMBERS } from './scenarios-members.ts';
import { API_AWAY, randomScenario } from './scenarios-random.ts';
import { UPGRADES } from './scenarios-upgrades.ts';

export const SCENARIOS: readonly Scenario[] = [...FAILURES, KILL_FIGURES, ...MEMBERS, ...FAULTS, ...UPGRADES, API_AWAY].sort((a, b) => a.number - b.number);

/** All that the driver on loopback plays. `minutes`: how long it goes on by chance. */
export const playedLocally = (minutes: number): readonly Scenario[] => [...SCENARIOS, randomScenario(minutes)];

/** By name or number. */
export function scenarioOf(text: string, minutes: number): Scenario | null {
  return playedLocally(minutes).find(({ name, number }) => name === text || String(number) === text) ?? null;
}
