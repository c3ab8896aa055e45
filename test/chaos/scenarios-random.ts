/** Scenarios 28 and 30: the API goes away under a running ring; and everything by chance, for as long as one likes. */
import { pick } from '../../src/sim/sim-random.ts';
import { FAILURES } from './scenarios-failures.ts';
import { FAULTS } from './scenarios-faults.ts';
import { MEMBERS } from './scenarios-members.ts';
import type { Scenario } from './scenario.ts';

const WHOLE_MS_MAX = 300_000;
const API_AWAY_MS = 15_000;

export const API_AWAY: Scenario = {
  number: 28, name: 'api-away', about: 'the API hangs, forgets and fails under a running ring: nobody needs it', replicas: 3, needs: ['api-faults'],
  steps: async (ring, stage) => {
    await stage.observe('without the API', async () => {
      for (const fault of ['silent', 410, 500] as const) {
        stage.note(`the API answers ${String(fault)}`);
        await ring.apiFault(fault);
        await stage.pause(API_AWAY_MS / 3);
        if (fault === 'silent') await ring.kill([1]);
      }
      await ring.untilReady([0, 1, 2], WHOLE_MS_MAX);
      await ring.apiFault(null);
    });
  },
};

/** Not by chance: it takes half a minute of a whole installation beside the ring, or minutes of waiting. */
const LEFT_OUT = ['cold-start', 'kill-leaver', 'kill-leavers'];

export function randomScenario(minutes: number): Scenario {
  const choice = [...FAILURES, ...MEMBERS, ...FAULTS, API_AWAY].filter(({ name }) => !LEFT_OUT.includes(name));
  return {
    number: 30, name: 'random', about: `scenarios by chance, one after the other, for ${minutes} minutes`, replicas: 3, needs: [], mayExitWith: [1],
    steps: async (ring, stage) => {
      const possible = choice.filter(({ needs }) => needs.every((capability) => ring.capabilities.has(capability)) && !needs.includes('full-disk'));
      const endAt = performance.now() + minutes * 60_000;
      const counts = new Map<string, number>();
      while (performance.now() < endAt) {
        const scenario = pick(stage.random, possible);
        counts.set(scenario.name, (counts.get(scenario.name) ?? 0) + 1);
        stage.note(`${scenario.name}:`);
        if (ring.replicas !== scenario.replicas) {
          stage.note(`scale to ${scenario.replicas}`);
          await ring.scale(scenario.replicas);
          await ring.untilWhole(WHOLE_MS_MAX);
        }
        await scenario.steps(ring, stage);
        await ring.heal();
        await ring.untilWhole(WHOLE_MS_MAX);
      }
      stage.say(`scenarios: ${[...counts].map(([name, count]) => `${name} ${count}`).join(', ')}`);
    },
  };
}
