/**
 * Whole nodes with one rule switched off: the simulator, with its large bodies and its crashes, has to notice. The rules of
 * registers are tried on their kernel too (register-rules.test.ts); these are about bodies, whose files only a node has.
 */
import { describe, expect, test } from '@jest/globals';
import { ALL_RULES, type Rules } from '../../src/domain/rules.ts';
import { swarmRun } from '../../src/sim/swarm-run.ts';

const SEEDS_MAX = 200;

async function firstViolation(rules: Rules): Promise<{ readonly seed: number; readonly violation: string } | null> {
  for (let seed = 1; seed <= SEEDS_MAX; seed++) {
    const { violations } = await swarmRun({ seed, linesMax: 0, rules }).run();
    if (violations[0] !== undefined) return { seed, violation: violations[0] };
  }
  return null;
}

describe('whole nodes show when a rule about bodies is dropped:', () => {
  const dropped: readonly (readonly [string, keyof Rules, RegExp])[] = [
    ['R6, a record is accepted without its body', 'acceptNeedsBody', /without holding its body|can't be read|other bytes|don't hold/],
    ['R7, a replaced body goes before its successor is durable', 'unlinkAfterAccept', /without holding its body|can't be read|other bytes/],
    ['R10, a copied record is taken without its body or against a promise', 'takeObeysPromise', /without holding its body|can't be read|linearizable|at the end|went back on/],
  ];
  test.each(dropped)('%s', async (_title, rule, message) => {
    const found = await firstViolation({ ...ALL_RULES, [rule]: false });
    expect(found?.violation).toMatch(message);
    console.log(`${rule} dropped: caught by seed ${found?.seed}: ${found?.violation}`);
  }, 240_000);
});
