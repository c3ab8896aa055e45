import { describe, expect, test } from '@jest/globals';
import { ZERO_BALLOT, type Ballot } from '../../../src/domain/ballot.ts';
import { ALL_RULES } from '../../../src/domain/rules.ts';
import type { AcceptorState } from '../../../src/register/acceptor.ts';
import { decideCatchUp, decideRepair, decideTake } from '../../../src/register/take.ts';
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

describe('what catch-up in the layout of epoch 2 does with what a majority shows', () => {
  const NOTHING = state(ZERO_BALLOT, ZERO_BALLOT, ballot(7));
  const shown = (promised: Ballot, accepted: Ballot): { readonly promised: Ballot; readonly accepted: Ballot } => ({ promised, accepted });
  test.each([
    ['a record at the highest promise is taken, whatever the floor', NOTHING, shown(OFFERED, OFFERED), { kind: 'take' }],
    ['a record below a promise of theirs is chosen again', NOTHING, shown(ballot(6), OFFERED), { kind: 'choose-again', above: ballot(6) }],
    ['a record below a promise of ours is chosen again', state(ballot(8), ballot(3), ZERO_BALLOT), shown(ballot(6), OFFERED), { kind: 'choose-again', above: ballot(8) }],
    ['a record that is here is chosen again below a promise of theirs', state(OFFERED, OFFERED, ZERO_BALLOT), shown(ballot(6), OFFERED), { kind: 'choose-again', above: ballot(6) }],
    ['a record of the same epoch is taken: majorities of old and new promised it', NOTHING, shown(ballot(9, 2), ballot(8, 2)), { kind: 'take' }],
    ['a record that is here is nothing new', state(OFFERED, OFFERED, ZERO_BALLOT), shown(OFFERED, OFFERED), { kind: 'already-higher' }],
    ['a bare promise is taken over', NOTHING, shown(ballot(6), ZERO_BALLOT), { kind: 'promise', ballot: ballot(6) }],
    ['a bare promise below ours is nothing new', state(ballot(8), ZERO_BALLOT, ZERO_BALLOT), shown(ballot(6), ZERO_BALLOT), { kind: 'leave' }],
  ] as const)('%s', (_title, here, there, decision) => {
    expect(decideCatchUp(here, there, 2, ALL_RULES)).toEqual(decision);
  });
});
