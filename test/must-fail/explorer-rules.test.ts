/** The exhaustive search finds a violation when a rule is dropped, in scopes in which it finds none with all rules. */
import { describe, expect, test } from '@jest/globals';
import { ALL_RULES, type Rules } from '../../src/domain/rules.ts';
import type { ChainScope } from '../../src/sim/explorer/chain-scope.ts';
import { SMALL_CHAIN_SCOPES } from '../../src/sim/explorer/chain-scopes.ts';
import { ChainSpace } from '../../src/sim/explorer/chain-space.ts';
import { nodeIdOf, type RegisterScope } from '../../src/sim/explorer/register-scope.ts';
import { get, MOVE_SCOPE, PLAIN_SCOPE, put, remove } from '../../src/sim/explorer/register-scopes.ts';
import { RegisterSpace } from '../../src/sim/explorer/register-space.ts';
import { search } from '../../src/sim/explorer/search.ts';
import { SinceSpace } from '../../src/sim/explorer/since-space.ts';
import { SINCE_SCOPE } from '../../src/sim/explorer/targets.ts';
import { ALL_LAYOUT_RULES, type LayoutKernelRules } from '../../src/sim/kernels/layout-kernel-rules.ts';

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

describe('the search of registers shows what goes wrong without', () => {
  test.each(CASES)('%s', (_title, rule, scope) => {
    const right = search(new RegisterSpace(scope), STATES_MAX);
    expect([right.violation, right.isComplete]).toEqual([null, true]);
    const wrong = search(new RegisterSpace({ ...scope, rules: { ...ALL_RULES, [rule]: false } }), STATES_MAX);
    expect(wrong.violation).not.toBeNull();
    console.log(`${rule} dropped: caught after ${wrong.states} of ${right.states} states, in ${wrong.violation?.trace.length} steps: ${wrong.violation?.what}`);
  }, 60_000);
});

/** Together with R11's promises: where catch-up hands those over, this scope is searched to its end without a violation. */
test('the search of registers shows what goes wrong without R2, the epoch first in every ballot, where catch-up copies records alone', () => {
  const rules = { ...ALL_RULES, catchUpKeepsPromises: false };
  const scope: RegisterScope = { ...MOVE_SCOPE, rules, actors: [put('first', 20), put('none', 10)], isEpochInBallot: false };
  const wrong = search(new RegisterSpace(scope), 1_000_000);
  console.log(`R2 dropped: caught after ${wrong.states} states: ${wrong.violation?.what}`);
  expect(wrong.violation?.what).toMatch('would return');
}, 60_000);

const [CHANGES, , ENDS, , LEAVES] = SMALL_CHAIN_SCOPES as readonly [ChainScope, ChainScope, ChainScope, ChainScope, ChainScope];
const CHAIN_CASES: readonly (readonly [title: string, change: Partial<LayoutKernelRules>, scope: ChainScope, violation: RegExp])[] = [
  ['A.4 (1), the slot is read before the carried layout is adopted', { adoptBeforeSlot: false }, ENDS, /next epoch/],
  ['A.4 (1), a vote isn\'t durable before its reply', { voteDurable: false }, CHANGES, /fork/],
  ['A.4 (2), an accepted value is taken for decided', { acceptedIsNotDecided: false }, CHANGES, /never chosen/],
  ['A.4 (2), a proposer keeps to its own value', { adoptHighest: false }, CHANGES, /fork/],
  ['A.4 (9), a leaver exits before the next voters know', { leaverWaits: false }, LEAVES, /stuck/],
];

describe('the search of the layout chain shows what goes wrong when', () => {
  test.each(CHAIN_CASES)('%s', (_title, change, scope, violation) => {
    const wrong = search(new ChainSpace({ ...scope, rules: { ...ALL_LAYOUT_RULES, ...change } }), STATES_MAX);
    console.log(`${JSON.stringify(change)}: caught after ${wrong.states} states: ${wrong.violation?.what}`);
    expect(wrong.violation?.what).toMatch(violation);
  }, 60_000);
});

describe('the search of since shows what goes wrong when A.4 (10) is dropped:', () => {
  test.each([{ since: 'ignored' }, { since: 'stable' }, { since: 'arc' }] as const)('%p', (change) => {
    const wrong = search(new SinceSpace({ ...SINCE_SCOPE, ...change }), STATES_MAX);
    console.log(`since ${change.since}: caught after ${wrong.states} states: ${wrong.violation?.what}`);
    expect(wrong.violation?.what).toMatch(/discards what|keeps what/);
  }, 60_000);
});
