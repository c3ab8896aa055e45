/** Every state of the small scopes of the register core and of the layout chain, searched to the end. */
import { describe, expect, test } from '@jest/globals';
import { must } from '../../src/domain/assert.ts';
import { search } from '../../src/sim/explorer/search.ts';
import { SMALL_TARGETS } from '../../src/sim/explorer/targets.ts';

const STATES_MAX = 200_000;

describe('no reachable state is wrong:', () => {
  test.each(SMALL_TARGETS.map(({ name, open }) => [name, open] as const))('%s', (name, open) => {
    const start = performance.now();
    const { states, transitions, isComplete, violation } = search(open(), STATES_MAX);
    const seconds = (performance.now() - start) / 1000;
    console.log(`explorer, ${name}: ${states} states, ${transitions} transitions, ${Math.round(states / seconds)} states/s`);
    expect(violation).toBeNull();
    expect(isComplete).toBe(true);
    // A search that goes nowhere proves nothing.
    expect(states).toBeGreaterThan(20);
  }, 60_000);
});

test.each(['register: two cond', 'layout chain: the only', 'since: two'])('two searches see the same states: %s', (start) => {
  const { open } = must(SMALL_TARGETS.find(({ name }) => name.startsWith(start)), 'the scope');
  expect(search(open(), STATES_MAX)).toEqual(search(open(), STATES_MAX));
});
