/** n follows min(replicas, members) both ways, 1, 2, 3, 2, 1, while every file stays readable and no copy is left behind. */
import { expect, test } from '@jest/globals';
import { Simulation } from '../../src/sim/simulation.ts';
import { SimulatedRing } from '../seed/simulated-ring.ts';

const FILES = Array.from({ length: 20 }, (_, i) => `dir/file ${i}`);
const bodyOf = (file: string): Buffer => Buffer.from(`${file}:`.repeat(400));

test('copies follow the number of members, 1, 2, 3, 2, 1, and every file stays readable', async () => {
  const sim = new Simulation({ seed: 5, linesMax: 2000, durationMsMax: 600_000, eventsMax: 3_000_000 });
  const seen: string[] = [];
  const outcome = await sim.run(async () => {
    const ring = new SimulatedRing(sim);
    const [a, b, c] = ring.names as [string, string, string];
    const holds = async (members: readonly string[], copies: number): Promise<void> => {
      await ring.within(10_000, async () => {
        const shown = await Promise.all(members.map((name) => ring.show(name)));
        for (const file of FILES) {
          const owners = shown.filter((node) => node.files.includes(file)).length;
          const all = shown.filter((node) => node.files.includes(file) || node.backUpFiles.includes(file)).length;
          if (owners !== 1 || all !== copies) return `${file} has ${owners} owners and ${all} copies of ${copies}`;
        }
        return null;
      });
      for (const through of members) {
        for (const file of FILES) expect(await ring.get(through, file)).toEqual(bodyOf(file));
      }
      seen.push(`${members.length} members, ${copies} copies`);
    };
    await ring.start(a, null);
    await ring.within(2000, async () => ((await ring.show(a)).successors.length === 1 ? null : 'not alone yet'));
    for (const file of FILES) await ring.put(a, file, bodyOf(file));
    await holds([a], 1);
    await ring.start(b, a);
    await holds([a, b], 2);
    await ring.start(c, b);
    await holds([a, b, c], 3);
    await ring.leave(a);
    await ring.within(10_000, () => Promise.resolve(ring.hasEnded(a) ? null : 'a has not left'));
    await holds([b, c], 2);
    await ring.leave(b);
    await ring.within(10_000, () => Promise.resolve(ring.hasEnded(b) ? null : 'b has not left'));
    await holds([c], 1);
  });
  expect(outcome.violations).toEqual([]);
  expect(seen).toEqual(['1 members, 1 copies', '2 members, 2 copies', '3 members, 3 copies', '2 members, 2 copies', '1 members, 1 copies']);
});
