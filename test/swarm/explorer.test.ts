/** Every state of the small scopes of the register core, searched to the end. */
import { describe, expect, test } from '@jest/globals';
import { SMALL_SCOPES } from '../../src/sim/explorer/register-scopes.ts';
import { RegisterSpace } from '../../src/sim/explorer/register-space.ts';
import { search } from '../../src/sim/explorer/search.ts';

const STATES_MAX = 200_000;

describe('no reachable state of the register is wrong:', () => {
  test.each(SMALL_SCOPES.map((scope) => [scope.name, scope] as const))('%s', (name, scope) => {
    const start = performance.now();
    const { states, transitions, isComplete, violation } = search(new RegisterSpace(scope), STATES_MAX);
    const seconds = (performance.now() - start) / 1000;
    console.log(`explorer, ${name}: ${states} states, ${transitions} transitions, ${Math.round(states / seconds)} states/s`);
    expect(violation).toBeNull();
    expect(isComplete).toBe(true);
    // A search that goes nowhere proves nothing.
    expect(states).toBeGreaterThan(200);
  }, 60_000);
});

test('two searches of a scope see the same states', () => {
  const scope = SMALL_SCOPES[1] as (typeof SMALL_SCOPES)[number];
  expect(search(new RegisterSpace(scope), STATES_MAX)).toEqual(search(new RegisterSpace(scope), STATES_MAX));
});
