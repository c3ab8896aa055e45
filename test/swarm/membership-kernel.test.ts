/** Many seeds of the membership kernel: whatever happens, one ring, one layout an epoch, and everything comes to its end. */
import { expect, test } from '@jest/globals';
import { runFoundingStorm } from '../../src/sim/kernels/founding-storm.ts';
import { runMembershipStorm } from '../../src/sim/kernels/membership-storm.ts';

const SEEDS = 300;
const FOUNDING_SEEDS = 1000;

test(`${SEEDS} seeded storms end in one ring with right pointers, every join and leave done`, () => {
  const totals: Record<string, number> = {};
  for (let seed = 1; seed <= SEEDS; seed++) {
    const { problems, counts } = runMembershipStorm(seed);
    if (problems.length > 0) throw new Error(`seed ${seed}: ${problems.join('; ')}`);
    for (const [name, count] of Object.entries(counts)) totals[name] = (totals[name] ?? 0) + count;
  }
  for (const name of ['crashes', 'wipes', 'losses', 'joins', 'leaves', 'cuts', 'epochs']) expect(totals[name]).toBeGreaterThan(50);
}, 60_000);

test('however three initial nodes are cut off, crash and lose up to two disks, at most one ring is founded', () => {
  const totals = { founded: 0, wipes: 0 };
  for (let seed = 1; seed <= FOUNDING_SEEDS; seed++) {
    const { rings, wipes } = runFoundingStorm(seed);
    if (rings > 1) throw new Error(`seed ${seed}: ${rings} rings`);
    totals.founded += rings;
    totals.wipes += wipes;
  }
  expect(totals.founded).toBeGreaterThan(FOUNDING_SEEDS / 4);
  expect(totals.wipes).toBeGreaterThan(FOUNDING_SEEDS);
}, 60_000);
