/** Many seeds of the membership kernel: whatever happens, one ring, one layout an epoch, and everything comes to its end. */
import { expect, test } from '@jest/globals';
import { runMembershipStorm } from '../../src/sim/kernels/membership-storm.ts';

const SEEDS = 300;

test(`${SEEDS} seeded storms end in one ring with right pointers, every join and leave done`, () => {
  const totals: Record<string, number> = {};
  for (let seed = 1; seed <= SEEDS; seed++) {
    const { problems, counts } = runMembershipStorm(seed);
    if (problems.length > 0) throw new Error(`seed ${seed}: ${problems.join('; ')}`);
    for (const [name, count] of Object.entries(counts)) totals[name] = (totals[name] ?? 0) + count;
  }
  for (const name of ['crashes', 'wipes', 'joins', 'leaves', 'cuts', 'epochs']) expect(totals[name]).toBeGreaterThan(50);
}, 60_000);
