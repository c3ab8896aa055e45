/** The exhaustive search finds a violation when a rule is dropped, in scopes in which it finds none with all rules. */
import { describe, expect, test } from '@jest/globals';
import { ALL_RULES, type Rules } from '../../src/domain/rules.ts';
import { nodeIdOf, type RegisterScope } from '../../src/sim/explorer/register-scope.ts';
import { get, MOVE_SCOPE, PLAIN_SCOPE, put, remove } from '../../src/sim/explorer/register-scopes.ts';
import { RegisterSpace } from '../../src/sim/explorer/register-space.ts';
import { search } from '../../src/sim/explorer/search.ts';

const STATES_MAX = 100_000;

const ERASED: RegisterScope = { ...PLAIN_SCOPE, hasEraser: true, actors: [put('none', 10), remove('none', 11)] };

const CASES: readonly (readonly [title: string, rule: keyof Rules, scope: RegisterScope])[] = [
  ['R5, a promise at the same ballot', 'promiseStrictlyAbove', { ...PLAIN_SCOPE, actors: [put('none', 10), put('none', 10), get()] }],
  ['R6, an ACCEPT below the floor', 'floorStopsAccept', ERASED],
  ['R8, a read without write-back', 'readWriteBack', { ...PLAIN_SCOPE, actors: [put('none', 10), get()] }],
  ['R8, a one-round read by equal versions', 'readEqualBallots', { ...PLAIN_SCOPE, actors: [put('none', 10), put('first', 11), get(12), get()] }],
  ['R9, a retry that applies again', 'idempotentRetry', { ...PLAIN_SCOPE, actors: [put('none', 10, 12), put('none', 11), get()] }],
  ['R9, a retry whose history was erased', 'retryAsksLineage', { ...PLAIN_SCOPE, initial: 'absent', hasEraser: true, actors: [put('none', 10, 12), remove('none', 11)] }],
  ['R10, anti-entropy against a promise', 'takeObeysPromise', { ...PLAIN_SCOPE, copies: 1, actors: [put('none', 10), put('first', 11), get()] }],
  ['R12, anti-entropy below the floor', 'floorStopsCopy', { ...ERASED, copies: 1 }],
  ['R13, a tombstone erased by a majority', 'eraseNeedsAll', ERASED],
  ['R13, an erasure that doesn\'t check again', 'eraseChecksAgain', { ...PLAIN_SCOPE, hasEraser: true, actors: [remove('none', 11), put('none', 12)] }],
  ['R13, an erasure without a floor', 'eraseRaisesFloor', ERASED],
  ['A.4 (7), only the new set counts', 'jointQuorum', { ...MOVE_SCOPE, actors: [put('none', 10)] }],
  ['A.4 (7), no epoch fence', 'epochFence', { ...MOVE_SCOPE, actors: [put('none', 10)] }],
  ['A.4 (8), retained replicas don\'t catch up', 'retainedCatchUp', { ...MOVE_SCOPE, actors: [put('none', 10)] }],
  ['A.4 (10), leftovers are kept', 'sinceDiscard', { ...MOVE_SCOPE, initial: 'erased', leftovers: [nodeIdOf('d')] }],
];

describe('the search shows what goes wrong without', () => {
  test.each(CASES)('%s', (_title, rule, scope) => {
    const right = search(new RegisterSpace(scope), STATES_MAX);
    expect([right.violation, right.isComplete]).toEqual([null, true]);
    const wrong = search(new RegisterSpace({ ...scope, rules: { ...ALL_RULES, [rule]: false } }), STATES_MAX);
    expect(wrong.violation).not.toBeNull();
    console.log(`${rule} dropped: caught after ${wrong.states} of ${right.states} states, in ${wrong.violation?.trace.length} steps: ${wrong.violation?.what}`);
  }, 60_000);
});
