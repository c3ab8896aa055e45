/**
 * CASPaxos, one test for each rule of the paper's protocol description ("The protocol", "Optimizations"), on acceptors
 * and proposers of register/.
 */
import { describe, expect, test } from '@jest/globals';
import { must } from '../../src/domain/assert.ts';
import type { Ballot } from '../../src/domain/ballot.ts';
import { ALL_RULES } from '../../src/domain/rules.ts';
import type { WriteIntent } from '../../src/register/proposal.ts';
import { WriteOperation, type WriteStep } from '../../src/register/write-operation.ts';
import { ballot, nodeId, opId, RegisterReplica } from '../support/register-replica.ts';

const IDS = ['a', 'b', 'c'].map(nodeId);
const SETS = { old: IDS, new: [], isMoving: false };

const put = (op: string): WriteIntent => ({
  kind: 'put', opId: opId(op), condition: { kind: 'none' }, contentType: '', meta: [],
  body: { bodyId: op.repeat(32) as never, size: 1, sha256: '', where: 'inline', chunkCrcs: [] },
});

class Trio {
  readonly replicas = IDS.map(() => new RegisterReplica());

  prepare(operation: WriteOperation, b: Ballot, at: readonly number[]): WriteStep {
    operation.begin(b, SETS, new Set());
    let step: WriteStep = { kind: 'wait' };
    for (const i of at) {
      const next = operation.onPrepareReply(must(IDS[i], 'id'), must(this.replicas[i], 'replica').prepare(b));
      if (next.kind !== 'wait') step = next;
    }
    return step;
  }

  accept(operation: WriteOperation, b: Ballot, step: WriteStep, at: readonly number[]): WriteStep {
    if (step.kind !== 'accept') throw new Error(step.kind);
    let end: WriteStep = { kind: 'wait' };
    for (const i of at) {
      const replica = must(this.replicas[i], 'replica');
      const next = operation.onAcceptReply(must(IDS[i], 'id'), replica.accept(b, step.record), replica.promised);
      if (next.kind !== 'wait') end = next;
    }
    return end;
  }

  run(intent: WriteIntent, b: Ballot, at: readonly number[] = [0, 1]): WriteStep {
    const operation = new WriteOperation(intent, ALL_RULES);
    return this.accept(operation, b, this.prepare(operation, b, at), at);
  }
}

describe('an acceptor', () => {
  test('returns a conflict if it already saw a greater ballot number', () => {
    const replica = new RegisterReplica();
    replica.prepare(ballot(5));
    expect(replica.prepare(ballot(4))).toMatchObject({ state: 'refused', promised: ballot(5) });
  });
  test('persists the ballot number as a promise and confirms with the accepted value', () => {
    const trio = new Trio();
    trio.run(put('1'), ballot(5));
    const report = must(trio.replicas[0], 'replica').prepare(ballot(6));
    expect(report).toMatchObject({ state: 'promised', accepted: { ballot: ballot(5) } });
  });
  test('refuses the value of a ballot below its promise', () => {
    const trio = new Trio();
    const slow = new WriteOperation(put('1'), ALL_RULES);
    const step = trio.prepare(slow, ballot(5), [0, 1]);
    trio.run(put('2'), ballot(6));
    expect(trio.accept(slow, ballot(5), step, [0, 1])).toEqual({ kind: 'retry', refused: ballot(6) });
  });
});

describe('a proposer', () => {
  test('waits for F + 1 confirmations before it applies the change function', () => {
    const operation = new WriteOperation(put('1'), ALL_RULES);
    expect(new Trio().prepare(operation, ballot(5), [0])).toEqual({ kind: 'wait' });
  });
  test('takes the current state as empty when all confirmations are empty', () => {
    expect(new Trio().run(put('1'), ballot(5))).toMatchObject({ result: { op: { kind: 'created' } } });
  });
  test('otherwise applies the change to the value of the tuple with the highest ballot number', () => {
    const trio = new Trio();
    trio.run(put('1'), ballot(5), [0, 1]);
    trio.run(put('2'), ballot(6), [1, 2]);
    const third = new WriteOperation(put('3'), ALL_RULES);
    const step = trio.prepare(third, ballot(7), [0, 2]);
    expect(step.kind === 'accept' && step.record.ops.map((op) => op.opId)).toEqual([opId('1'), opId('2'), opId('3')]);
  });
  test('returns after F + 1 acceptors confirmed the new value', () => {
    const trio = new Trio();
    const operation = new WriteOperation(put('1'), ALL_RULES);
    const step = trio.prepare(operation, ballot(5), [0, 1, 2]);
    expect(trio.accept(operation, ballot(5), step, [0])).toEqual({ kind: 'wait' });
    expect(trio.accept(operation, ballot(5), step, [2])).toMatchObject({ kind: 'finished' });
  });
  test('on a conflict starts again with a ballot above the one it was shown', () => {
    const trio = new Trio();
    trio.run(put('1'), ballot(9));
    const late = new WriteOperation(put('2'), ALL_RULES);
    expect(trio.prepare(late, ballot(5), [0, 1])).toEqual({ kind: 'retry', refused: ballot(9) });
    const step = trio.prepare(late, ballot(10), [0, 1]);
    expect(trio.accept(late, ballot(10), step, [0, 1])).toMatchObject({ kind: 'finished', result: { kind: 'applied' } });
  });
});

describe('safety', () => {
  test('every acknowledged change is in the history of every later one', () => {
    const trio = new Trio();
    const pairs = [[0, 1], [1, 2], [0, 2], [0, 1], [1, 2]];
    pairs.forEach((at, i) => { expect(trio.run(put(`${i + 1}`), ballot(i + 1), at)).toMatchObject({ kind: 'finished' }); });
    const reader = new WriteOperation({ kind: 'identity' }, ALL_RULES);
    const step = trio.prepare(reader, ballot(50), [0, 2]);
    expect(step.kind === 'accept' && step.record.ops.map((op) => op.version.hlc)).toEqual([1, 2, 3, 4, 5]);
  });
  test('an identity round makes a value on a minority chosen', () => {
    const trio = new Trio();
    const ghost = new WriteOperation(put('1'), ALL_RULES);
    trio.accept(ghost, ballot(5), trio.prepare(ghost, ballot(5), [0, 1]), [0]);
    expect(trio.run({ kind: 'identity' }, ballot(6), [0, 2])).toMatchObject({ result: { kind: 'unchanged', current: { ballot: ballot(6) } } });
    expect(must(trio.replicas[2], 'replica').accepted?.record.version).toEqual(ballot(5));
  });
});
