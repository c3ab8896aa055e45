import { beforeAll, describe, expect, test } from '@jest/globals';
import type { SimulationResult } from '../../src/sim/simulation.ts';
import { Simulation } from '../../src/sim/simulation.ts';
import { SimulatedRing } from './simulated-ring.ts';
import { SeedStory } from './seed-steps.ts';

describe('the assignment in the simulator, M = 16, one token a node', () => {
  const sim = new Simulation({ seed: 1, durationMsMax: 600_000, eventsMax: 10_000_000, linesMax: 10_000 });
  const { steps } = new SeedStory(new SimulatedRing(sim));
  const done: string[] = [];
  let result: SimulationResult | null = null;

  beforeAll(async () => {
    result = await sim.run(async () => {
      for (const { title, run } of steps) {
        sim.note('story', title);
        await run();
        done.push(title);
      }
    });
  });

  test.each(steps)('$title', ({ title }) => {
    if (done.includes(title)) return;
    throw new Error(`${result?.violations.join('\n')}\n\n${result?.lines.slice(-40).join('\n')}`);
  });

  test('nothing was violated on the way', () => {
    expect(result?.violations).toEqual([]);
  });
});
