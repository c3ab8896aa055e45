import { describe, expect, test } from '@jest/globals';
import { ZERO_BALLOT } from '../../../src/domain/ballot.ts';
import type { WriteCondition } from '../../../src/domain/object-operation.ts';
import { ALL_RULES } from '../../../src/domain/rules.ts';
import { OPS_KEPT_MAX, type ObjectRecord } from '../../../src/domain/stored-object.ts';
import type { WriteIntent } from '../../../src/register/proposal.ts';
import type { AcceptedValue } from '../../../src/register/read-decision.ts';
import { WriteOperation, type PromiseReport } from '../../../src/register/write-operation.ts';
import { ballot, live, nodeId, opId } from '../../support/register-replica.ts';

const [A, B, C] = [nodeId('a'), nodeId('b'), nodeId('c')];
const SETS = { old: [A, B, C], new: [], isMoving: false };
const NOBODY = new Set<typeof A>();

const intent = (condition: WriteCondition = { kind: 'none' }): WriteIntent => ({
  kind: 'put', opId: opId('1'), condition, contentType: '', meta: [],
  body: { bodyId: 'd'.repeat(32) as never, size: 1, sha256: '', where: 'inline', chunkCrcs: [] },
});
const value = (hlc: number, record: ObjectRecord = live(ballot(hlc))): AcceptedValue => ({ ballot: ballot(hlc), record });
const promised = (accepted: AcceptedValue | null = null): PromiseReport => ({ state: 'promised', promised: ballot(10), accepted, floor: ZERO_BALLOT, isStaged: true });
const refused = (hlc: number): PromiseReport => ({ ...promised(), state: 'refused', promised: ballot(hlc) });

function begun(of: WriteIntent, doubtful = NOBODY): WriteOperation {
  const operation = new WriteOperation(of, ALL_RULES);
  operation.begin(ballot(10), SETS, doubtful);
  return operation;
}

describe('a round', () => {
  test('proposes at a quorum of promises and ends at a quorum of acceptances', () => {
    const operation = begun(intent());
    expect(operation.onPrepareReply(A, promised())).toEqual({ kind: 'wait' });
    expect(operation.onPrepareReply(B, promised())).toMatchObject({ kind: 'accept', holders: [A, B], record: { version: ballot(10) } });
    expect(operation.onPrepareReply(C, promised())).toEqual({ kind: 'wait' });
    expect(operation.onAcceptReply(C, 'accepted', ballot(10))).toEqual({ kind: 'wait' });
    expect(operation.onAcceptReply(A, 'accepted', ballot(10))).toMatchObject({ kind: 'finished', result: { kind: 'applied', op: { kind: 'created' } } });
    operation.onAcceptReply(B, 'accepted', ballot(10));
    expect(operation.chosenBy).toEqual([C, A, B]);
  });
  test.each([
    ['as old as the request', 4, 'accept'],
    ['younger, and may have forgotten it', 6, 'finished'],
  ])('that may be the second of its operation proposes only on a history that tells: %s', (_, from, kind) => {
    const ops = Array.from({ length: OPS_KEPT_MAX }, (__, i) => ({ opId: opId(`a${i}`), version: ballot(from + i), kind: 'replaced' as const }));
    const full = value(from + 7, { ...live(ballot(from + 7)), ops });
    for (const [heard, wanted] of [[ballot(5), kind], [null, 'accept']] as const) {
      const operation = new WriteOperation(intent(), ALL_RULES);
      operation.begin(ballot(20), SETS, NOBODY, heard);
      operation.onPrepareReply(A, promised(full));
      expect(operation.onPrepareReply(B, promised(full)).kind).toBe(wanted);
      expect(operation.hasProposed).toBe(wanted === 'accept');
    }
  });
  test('builds on the highest accepted value of the promises, never on that of a refusal', () => {
    const operation = begun(intent());
    operation.onPrepareReply(A, { ...refused(20), accepted: value(15) });
    operation.onPrepareReply(B, promised(value(3)));
    const step = operation.onPrepareReply(C, promised(value(5)));
    expect(step).toMatchObject({ kind: 'accept', record: { ops: [{ kind: 'replaced' }] } });
  });
  test('is given up for a higher ballot when refusals leave no quorum', () => {
    const operation = begun(intent());
    expect(operation.onPrepareReply(A, refused(20))).toEqual({ kind: 'wait' });
    expect(operation.onPrepareReply(B, refused(25))).toEqual({ kind: 'retry', refused: ballot(25) });
  });
  test('after a refusal does not wait for a node that is probably down', () => {
    const operation = begun(intent(), new Set([C]));
    expect(operation.onPrepareReply(A, refused(20))).toEqual({ kind: 'retry', refused: ballot(20) });
  });
  test('of an absent key goes above a floor before anything is proposed', () => {
    const operation = begun(intent());
    operation.onPrepareReply(A, { ...promised(), floor: ballot(30) });
    expect(operation.onPrepareReply(B, promised())).toEqual({ kind: 'retry', refused: ballot(30) });
    expect(operation.hasProposed).toBe(false);
    operation.begin(ballot(31), SETS, NOBODY);
    operation.onPrepareReply(A, { ...promised(), floor: ballot(30) });
    expect(operation.onPrepareReply(B, promised())).toMatchObject({ kind: 'accept', record: { version: ballot(31) } });
  });
  test('of a key that has a value minds no floor', () => {
    const operation = begun(intent());
    operation.onPrepareReply(A, { ...promised(value(5)), floor: ballot(30) });
    expect(operation.onPrepareReply(B, promised(value(5)))).toMatchObject({ kind: 'accept' });
  });
  test('a late failure of PREPARE does not count against ACCEPT', () => {
    const operation = begun(intent());
    operation.onPrepareReply(A, promised());
    operation.onPrepareReply(B, promised());
    expect(operation.onPrepareFailure(C)).toEqual({ kind: 'wait' });
    expect(operation.onAcceptFailure(A)).toEqual({ kind: 'wait' });
    operation.onAcceptReply(B, 'accepted', ballot(10));
    expect(operation.onAcceptReply(C, 'accepted', ballot(10))).toMatchObject({ kind: 'finished' });
  });
});

describe('a failed condition', () => {
  const absent: WriteCondition = { kind: 'absent' };
  test('is reported at once when a quorum holds the value at one ballot', () => {
    const operation = begun(intent(absent));
    operation.onPrepareReply(A, promised(value(5)));
    expect(operation.onPrepareReply(B, promised(value(5)))).toEqual({ kind: 'finished', result: { kind: 'precondition-failed', current: ballot(5) } });
  });
  test('is reported only after the value is chosen when ballots differ', () => {
    const operation = begun(intent(absent));
    operation.onPrepareReply(A, promised(value(5)));
    const step = operation.onPrepareReply(B, promised(value(3)));
    expect(step).toMatchObject({ kind: 'accept', record: { version: ballot(5) }, holders: [A] });
    operation.onAcceptReply(A, 'accepted', ballot(10));
    expect(operation.onAcceptReply(B, 'accepted', ballot(10))).toMatchObject({ result: { kind: 'precondition-failed', current: ballot(5) } });
    expect(operation.hasProposed).toBe(false);
  });
});

describe('a retry after an ACCEPT left', () => {
  function retried(of: WriteIntent = intent(), base: AcceptedValue | null = null): WriteOperation {
    const operation = begun(of);
    operation.onPrepareReply(A, promised(base));
    operation.onPrepareReply(B, promised(base));
    operation.onAcceptFailure(A);
    operation.onAcceptFailure(B);
    expect(operation.hasProposed).toBe(true);
    operation.begin(ballot(20), SETS, NOBODY);
    return operation;
  }
  test('that finds itself has its value chosen and reports the first result', () => {
    const operation = retried();
    operation.onPrepareReply(A, promised(value(10, live(ballot(10), [opId('1')]))));
    const step = operation.onPrepareReply(B, promised());
    expect(step).toMatchObject({ kind: 'accept', record: { version: ballot(10) } });
    operation.onAcceptReply(A, 'accepted', ballot(20));
    expect(operation.onAcceptReply(B, 'accepted', ballot(20))).toMatchObject({ result: { kind: 'applied', op: { version: ballot(10) } } });
  });
  test('that finds its base unchanged proposes again', () => {
    const operation = retried(intent(), value(5));
    operation.onPrepareReply(A, promised(value(5)));
    expect(operation.onPrepareReply(B, promised(value(5)))).toMatchObject({ kind: 'accept', record: { version: ballot(20) } });
  });
  test('that finds a full history without itself is unknown', () => {
    const operation = retried();
    const others = live(ballot(15), Array.from({ length: 8 }, (_, i) => opId((i + 2).toString(16))));
    operation.onPrepareReply(A, promised(value(15, others)));
    expect(operation.onPrepareReply(B, promised(value(15, others)))).toEqual({ kind: 'finished', result: { kind: 'unknown' } });
  });
  test('whose condition fails now has to bury the first try before it says so', () => {
    const operation = retried(intent({ kind: 'version', versions: [ballot(5)] }), value(5));
    operation.onPrepareReply(A, promised(value(15)));
    const step = operation.onPrepareReply(B, promised(value(15)));
    expect(step).toMatchObject({ kind: 'accept', record: { version: ballot(15) } });
  });
});

test('an operation id of an earlier request makes the end unknown until its value is chosen', () => {
  const operation = begun(intent());
  operation.onPrepareReply(A, promised(value(5, live(ballot(5), [opId('1')]))));
  operation.onPrepareReply(B, promised());
  expect(operation.hasProposed).toBe(true);
});
