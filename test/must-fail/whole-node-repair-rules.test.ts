/** Repair with one rule switched off: replicas don't become alike. */
import { describe, expect, test } from '@jest/globals';
import { must } from '../../src/domain/assert.ts';
import { equalBallots, HLC_STEPS_PER_MS } from '../../src/domain/ballot.ts';
import { ALL_RULES, type Rules } from '../../src/domain/rules.ts';
import { objectKey } from '../../src/ring/hasher.ts';
import { KEY_BITS, Scenario } from '../support/scenario.ts';

/** Far beyond every clock of the run. */
const AHEAD_MS = 3_600_000;

/** A replica has promised a ballot of a clock that was an hour ahead, and so refuses what the others accept. */
async function wildPromise(rules: Rules): Promise<readonly string[]> {
  const scenario = new Scenario(rules);
  return scenario.run(async () => {
    const [a, , c] = await scenario.found(['node:1', 'node:2', 'node:3']);
    const [one, third] = [must(a, 'a'), must(c, 'c')];
    await scenario.put(one, 'file', 'before');
    await scenario.sleep(100);
    const key = objectKey('file', KEY_BITS);
    const { store } = scenario.program(third);
    const before = must(store.head(key), 'the record');
    await store.promise(key, 'file', { ...before.accepted, hlc: before.accepted.hlc + AHEAD_MS * HLC_STEPS_PER_MS }, null);
    expect(await scenario.put(one, 'file', 'after')).toBe('stored');
    await scenario.sleep(20_000);
    const held = [one, third].map((node) => must(scenario.program(node).store.head(key), 'the record').accepted);
    if (!equalBallots(must(held[0], 'a ballot'), must(held[1], 'a ballot'))) scenario.sim.fail('a replica still lacks the record');
  });
}

describe('repair', () => {
  test('brings a record to a replica whose promise is far ahead, by a ballot above it, and only so', async () => {
    expect(await wildPromise(ALL_RULES)).toEqual([]);
    expect((await wildPromise({ ...ALL_RULES, antiEntropyRaisesBallot: false })).join('\n')).toMatch(/still lacks the record/);
  });
});
