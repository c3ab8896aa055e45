import { describe, expect, test } from '@jest/globals';
import { ZERO_BALLOT, type Ballot } from '../../../src/domain/ballot.ts';
import { ALL_RULES } from '../../../src/domain/rules.ts';
import { ballotToOutbid, type AcceptorState } from '../../../src/register/acceptor.ts';
import { decideErase, ErasureTally, viewTombstone } from '../../../src/register/erasure.ts';
import type { ReplicaSets } from '../../../src/register/joint-quorum.ts';
import { ballot, nodeId } from '../../support/register-replica.ts';

const B = ballot(5);
const LOWER = ballot(4);
const HIGHER = ballot(6);
const [a, b, c] = [nodeId('a'), nodeId('b'), nodeId('c')];
const STABLE: ReplicaSets = { old: [a, b, c], new: [a, b, c], isMoving: false };

const state = (promised: Ballot, accepted: Ballot, floor: Ballot = ZERO_BALLOT): AcceptorState => ({ promised, accepted, floor });

describe('a replica asked for the tombstone at a ballot', () => {
  test.each([
    ['that holds exactly it', state(B, B), 'alike', 'erase'],
    ['that holds it under a floor as high, taken over by catch-up', state(B, B, B), 'alike', 'erase'],
    ['that erased it before', state(ZERO_BALLOT, ZERO_BALLOT, B), 'alike', 'keep'],
    ['that erased it before and has promised something since', state(HIGHER, ZERO_BALLOT, B), 'alike', 'keep'],
    ['that never had a value and a lower floor', state(ZERO_BALLOT, ZERO_BALLOT, LOWER), 'differs', 'keep'],
    ['that has only promised it', state(B, ZERO_BALLOT, LOWER), 'differs', 'keep'],
    ['that holds it and has promised a later ballot', state(HIGHER, B), 'differs', 'keep'],
    ['that holds an older value', state(LOWER, LOWER), 'differs', 'keep'],
    ['that holds a newer value', state(HIGHER, HIGHER), 'differs', 'keep'],
    ['that holds an older value under a floor as high', state(LOWER, LOWER, B), 'differs', 'keep'],
  ] as const)('%s', (_title, shown, view, decision) => {
    expect([viewTombstone(shown, B), decideErase(shown, B)]).toEqual([view, decision]);
  });
  test('with nothing at all keeps nothing erased at the zero ballot', () => {
    expect(decideErase(state(ZERO_BALLOT, ZERO_BALLOT), ZERO_BALLOT)).toBe('keep');
  });
});

describe('the tally of a tombstone', () => {
  test('erases when every replica is alike, not at a majority', () => {
    const tally = new ErasureTally(STABLE, ALL_RULES);
    expect([tally.add(a, 'alike'), tally.add(b, 'alike'), tally.add(b, 'alike'), tally.add(c, 'alike')]).toEqual(['wait', 'wait', 'wait', 'erase']);
  });
  test('evens out when all answered and one differs', () => {
    const tally = new ErasureTally(STABLE, ALL_RULES);
    expect([tally.add(a, 'alike'), tally.add(b, 'differs'), tally.add(c, 'alike')]).toEqual(['wait', 'wait', 'even-out']);
  });
  test('gives up when one replica does not answer, whatever the others say', () => {
    const tally = new ErasureTally(STABLE, ALL_RULES);
    expect([tally.add(a, 'alike'), tally.add(b, 'alike'), tally.fail(c)]).toEqual(['wait', 'wait', 'give-up']);
    expect(tally.fail(a)).toBe('give-up');
  });
  test('gives up while the arc moves', () => {
    const moving: ReplicaSets = { old: [a, b, c], new: [b, c, nodeId('d')], isMoving: true };
    const tally = new ErasureTally(moving, ALL_RULES);
    for (const id of [a, b, c]) tally.add(id, 'alike');
    expect(tally.decision).toBe('give-up');
  });
  test('a node that is no replica does not count', () => {
    const tally = new ErasureTally(STABLE, ALL_RULES);
    for (const id of [a, b, nodeId('d'), nodeId('e')]) tally.add(id, 'alike');
    expect(tally.decision).toBe('wait');
  });
  test('of one member alone erases by its own word', () => {
    expect(new ErasureTally({ old: [a], new: [a], isMoving: false }, ALL_RULES).add(a, 'alike')).toBe('erase');
  });
});

describe('a refusal names', () => {
  test('the floor too where no value is, so that the next ballot passes it', () => {
    expect(ballotToOutbid(state(LOWER, ZERO_BALLOT, B))).toEqual(B);
    expect(ballotToOutbid(state(HIGHER, ZERO_BALLOT, B))).toEqual(HIGHER);
    expect(ballotToOutbid(state(LOWER, LOWER, B))).toEqual(LOWER);
  });
});
