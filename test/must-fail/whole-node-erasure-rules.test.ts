/**
 * Whole nodes with one rule of erasing dropped: the swarm has to notice. That the floor rises in the same step shows once in
 * some hundred seeds of whole nodes, so the register kernel alone tries that one (register-rules.test.ts).
 */
import { describe, expect, test } from '@jest/globals';
import { ALL_RULES, type Rules } from '../../src/domain/rules.ts';
import { swarmRun } from '../../src/sim/swarm-run.ts';

const SEEDS_MAX = 200;

describe('whole nodes show when a rule of erasing tombstones is dropped:', () => {
  const dropped: readonly (readonly [string, keyof Rules, RegExp])[] = [
    ['R13, a quorum is enough to erase', 'eraseNeedsAll', /not linearizable|was not there|never erased|at the end|not repaired/],
    ['R13, tombstones that differ stay so', 'eraseEvensOut', /never erased/],
  ];
  test.each(dropped)('%s', async (_title, rule, message) => {
    for (let seed = 1; seed <= SEEDS_MAX; seed++) {
      const { violations } = await swarmRun({ seed, linesMax: 0, rules: { ...ALL_RULES, [rule]: false } }).run();
      if (violations[0] === undefined) continue;
      expect(violations[0]).toMatch(message);
      console.log(`${rule} dropped: caught by seed ${seed}: ${violations[0].slice(0, 200)}`);
      return;
    }
    throw new Error(`${SEEDS_MAX} seeds notice nothing`);
  }, 240_000);
});
