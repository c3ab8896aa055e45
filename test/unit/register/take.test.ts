import { describe, expect, test } from '@jest/globals';
import { ZERO_BALLOT, type Ballot } from '../../../src/domain/ballot.ts';
import { ALL_RULES } from '../../../src/domain/rules.ts';
import type { AcceptorState } from '../../../src/register/acceptor.ts';
import { decideRepair, decideTake } from '../../../src/register/take.ts';
import { ballot } from '../../support/register-replica.ts';

const OFFERED = ballot(5);
const state = (promised: Ballot, accepted: Ballot, floor: Ballot): AcceptorState => ({ promised, accepted, floor });

describe('a copy offered by repair in a stable layout', () => {
  test.each([
    ['is taken where nothing is', state(ZERO_BALLOT, ZERO_BALLOT, ZERO_BALLOT), 'object', { kind: 'take' }],
    ['is taken above the floor', state(ZERO_BALLOT, ZERO_BALLOT, ballot(4)), 'object', { kind: 'take' }],
    ['is chosen again, above the floor, when it lies below it: it may have been deleted and erased meanwhile', state(ZERO_BALLOT, ZERO_BALLOT, ballot(7)), 'object', { kind: 'choose-again', above: ballot(7) }],
    ['is left alone below the floor when it is a tombstone', state(ballot(9), ZERO_BALLOT, OFFERED), 'tombstone', { kind: 'leave' }],
    ['is taken over an older value whatever the floor', state(ballot(3), ballot(3), ballot(7)), 'object', { kind: 'take' }],
    ['is chosen again above a promise in the way', state(ballot(6), ballot(3), ballot(7)), 'object', { kind: 'choose-again', above: ballot(7) }],
    ['is nothing new when as much is here', state(OFFERED, OFFERED, ZERO_BALLOT), 'tombstone', { kind: 'already-higher' }],
  ] as const)('%s', (_title, here, kind, decision) => {
    expect(decideRepair(here, OFFERED, kind, ALL_RULES)).toEqual(decision);
  });
  test('in a move the floor does not count, because nothing is erased then', () => {
    expect(decideTake(state(ZERO_BALLOT, ZERO_BALLOT, ballot(7)), OFFERED, ALL_RULES)).toBe('take');
  });
  test('is taken below the floor only without the rule', () => {
    expect(decideRepair(state(ZERO_BALLOT, ZERO_BALLOT, ballot(7)), OFFERED, 'object', { ...ALL_RULES, floorStopsCopy: false })).toEqual({ kind: 'take' });
  });
});
