import { describe, expect, test } from '@jest/globals';
import { HLC_STEPS_PER_MS, ZERO_BALLOT, type Ballot } from '../../../src/domain/ballot.ts';
import type { WriteCondition } from '../../../src/domain/object-operation.ts';
import { ALL_RULES } from '../../../src/domain/rules.ts';
import { OPS_KEPT_MAX, type ObjectRecord } from '../../../src/domain/stored-object.ts';
import { decideAccept, decidePrepare } from '../../../src/register/acceptor.ts';
import { HybridClock } from '../../../src/register/hybrid-clock.ts';
import { buildRecord, findOp, isConditionMet, type PutIntent } from '../../../src/register/proposal.ts';
import { ReadTally } from '../../../src/register/read-decision.ts';
import { decideRetry } from '../../../src/register/retry-decision.ts';
import { decideTake } from '../../../src/register/take.ts';
import { ballot, live, nodeId, opId, tombstone } from '../../support/register-replica.ts';

const state = (promised: number, accepted: number, floor = 0): { promised: Ballot; accepted: Ballot; floor: Ballot } => {
  const at = (hlc: number): Ballot => (hlc === 0 ? ZERO_BALLOT : ballot(hlc));
  return { promised: at(promised), accepted: at(accepted), floor: at(floor) };
};

describe('acceptor', () => {
  test.each([[0, 5, 'promise'], [4, 5, 'promise'], [5, 5, 'refuse'], [6, 5, 'refuse']])('promised %d, PREPARE %d: %s', (promised, asked, decision) => {
    expect(decidePrepare(state(promised, 0), ballot(asked), ALL_RULES)).toBe(decision);
  });
  test.each([
    ['at the promise', state(5, 0), 5, true, 'accept'],
    ['below the promise', state(6, 0), 5, true, 'refuse'],
    ['above the promise', state(4, 3), 5, true, 'accept'],
    ['at the floor, with no value here', state(5, 0, 5), 5, true, 'refuse'],
    ['at the floor, though only promised above it', state(6, 0, 7), 6, true, 'refuse'],
    ['below the floor, with a value here', state(5, 3, 9), 5, true, 'accept'],
    ['without the body', state(5, 0), 5, false, 'fetch-body'],
    ['without the body, below the promise', state(6, 0), 5, false, 'refuse'],
    ['again', state(5, 5), 5, true, 'repeat'],
    ['again, when its body has rotted meanwhile', state(5, 5), 5, false, 'fetch-body'],
  ])('ACCEPT %s', (_title, at, asked, isHeld, decision) => {
    expect(decideAccept(at, ballot(asked), isHeld, ALL_RULES)).toBe(decision);
  });
  test('a newer epoch outranks every clock', () => {
    expect(decidePrepare({ ...state(1_000_000, 0) }, ballot(1, 2), ALL_RULES)).toBe('promise');
  });
});

describe('take', () => {
  test.each([[3, 2, 5, 'take'], [5, 2, 5, 'take'], [6, 2, 5, 'promise-in-the-way'], [6, 5, 5, 'already-higher'], [6, 6, 5, 'already-higher']])(
    'promised %d, accepted %d, offered %d: %s', (promised, accepted, offered, decision) => {
      expect(decideTake(state(promised, accepted, 99), ballot(offered), ALL_RULES)).toBe(decision);
    });
});

describe('conditions', () => {
  const here = live(ballot(5));
  const table: readonly [WriteCondition, ObjectRecord | null, boolean][] = [
    [{ kind: 'none' }, null, true],
    [{ kind: 'absent' }, null, true],
    [{ kind: 'absent' }, here, false],
    [{ kind: 'absent' }, tombstone(ballot(5)), true],
    [{ kind: 'present' }, here, true],
    [{ kind: 'present' }, tombstone(ballot(5)), false],
    [{ kind: 'version', versions: [ballot(4), ballot(5)] }, here, true],
    [{ kind: 'version', versions: [ballot(4)] }, here, false],
    [{ kind: 'version', versions: [ballot(5)] }, tombstone(ballot(5)), false],
  ];
  test.each(table)('%j on %j: %p', (condition, current, isMet) => {
    expect(isConditionMet(condition, current)).toBe(isMet);
  });
});

describe('records', () => {
  const intent: PutIntent = { kind: 'put', opId: opId('9'), condition: { kind: 'none' }, body: { bodyId: 'b'.repeat(32) as never, size: 1, sha256: '', where: 'inline', chunkCrcs: [] }, contentType: '', meta: [] };
  test('the latest operations are kept, through tombstones too', () => {
    let record: ObjectRecord | null = null;
    for (let i = 1; i <= 12; i++) {
      const op = opId(i.toString(16));
      record = buildRecord(i % 2 === 0 ? { kind: 'delete', opId: op, condition: { kind: 'none' } } : { ...intent, opId: op }, record, ballot(i), ballot(77));
    }
    expect(record?.ops).toHaveLength(OPS_KEPT_MAX);
    expect(findOp(record, opId('5'))).toMatchObject({ kind: 'created', version: ballot(5) });
    expect(findOp(record, opId('4'))).toBeNull();
  });
  test('the floor is taken when the key was absent, and copied afterwards', () => {
    const first = buildRecord(intent, null, ballot(5), ballot(3));
    expect(first.lineageFloor).toEqual(ballot(3));
    expect(buildRecord(intent, first, ballot(8), ballot(7)).lineageFloor).toEqual(ballot(3));
  });
  test('the version is the ballot of the write, the creation time that of the first', () => {
    const first = buildRecord(intent, null, ballot(5 * HLC_STEPS_PER_MS), ZERO_BALLOT);
    const second = buildRecord(intent, first, ballot(9 * HLC_STEPS_PER_MS), ZERO_BALLOT);
    expect(second).toMatchObject({ version: ballot(9 * HLC_STEPS_PER_MS), createdMs: 5 });
    const reborn = buildRecord(intent, tombstone(ballot(9)), ballot(20 * HLC_STEPS_PER_MS), ZERO_BALLOT);
    expect(reborn).toMatchObject({ createdMs: 20, ops: [{ kind: 'created' }] });
  });
});

describe('retry', () => {
  const mine = opId('1');
  const others = (count: number): ReturnType<typeof opId>[] => Array.from({ length: count }, (_, i) => opId((i + 2).toString(16)));
  const sent = { firstBallot: ballot(10), baseVersion: ballot(5) };
  /** One operation a ballot, from `oldest` on. */
  const written = (ids: readonly ReturnType<typeof opId>[], oldest: number): ObjectRecord => {
    const record = live(ballot(oldest + ids.length - 1), ids);
    return { ...record, ops: record.ops.map((op, i) => ({ ...op, version: ballot(oldest + i) })) };
  };
  const withFloor = (record: ObjectRecord, floor: Ballot): ObjectRecord => ({ ...record, lineageFloor: floor });
  test.each<readonly [string, ObjectRecord | null, Ballot, string]>([
    ['own id in the history', live(ballot(20), [opId('3'), mine]), ZERO_BALLOT, 'applied'],
    ['own id in the history, even of a younger lineage', withFloor(live(ballot(20), [mine]), ballot(11)), ZERO_BALLOT, 'applied'],
    ['history erased since', withFloor(live(ballot(20), others(1)), ballot(10)), ZERO_BALLOT, 'unknown'],
    ['absent under a floor that high', null, ballot(10), 'unknown'],
    ['base unchanged', live(ballot(5), others(8)), ZERO_BALLOT, 'not-applied'],
    ['another version, history complete', live(ballot(20), others(7)), ZERO_BALLOT, 'not-applied'],
    ['another version, history full of younger operations', written(others(8), 11), ZERO_BALLOT, 'unknown'],
    ['another version, history full from the first ACCEPT on', written(others(8), 10), ZERO_BALLOT, 'unknown'],
    ['another version, history full but older than the first ACCEPT', written(others(8), 9), ZERO_BALLOT, 'not-applied'],
    ['own id in a full history', written([...others(7), mine], 9), ZERO_BALLOT, 'applied'],
    ['history full and older, but erased since', withFloor(written(others(8), 9), ballot(10)), ZERO_BALLOT, 'unknown'],
  ])('%s', (_title, current, floor, kind) => {
    expect(decideRetry(mine, sent, current, floor, ALL_RULES).kind).toBe(kind);
  });
  test('still absent', () => {
    expect(decideRetry(mine, { ...sent, baseVersion: null }, null, ballot(9), ALL_RULES).kind).toBe('not-applied');
  });
});

describe('hybrid clock', () => {
  const now = 1_000_000;
  test('follows wall time and never repeats', () => {
    const clock = new HybridClock();
    expect(clock.next(now, 0)).toBe(now * HLC_STEPS_PER_MS);
    expect(clock.next(now, 0)).toBe(now * HLC_STEPS_PER_MS + 1);
    expect(clock.next(now - 5000, 0)).toBe(now * HLC_STEPS_PER_MS + 2);
    expect(clock.next(now + 1, 0)).toBe((now + 1) * HLC_STEPS_PER_MS);
  });
  test('jumps above a refused ballot and stays there', () => {
    const clock = new HybridClock();
    const refused = (now + 59_000) * HLC_STEPS_PER_MS;
    expect(clock.next(now, refused)).toBe(refused + 1);
    expect(clock.next(now, 0)).toBe(refused + 2);
  });
  test('a wild clock is outbid once and not followed', () => {
    const clock = new HybridClock();
    const refused = (now + 61_000) * HLC_STEPS_PER_MS;
    expect(clock.next(now, refused)).toBe(refused + 1);
    expect(clock.next(now, 0)).toBeLessThan(refused);
  });
});

describe('read', () => {
  const sets = { old: [nodeId('a'), nodeId('b'), nodeId('c')], new: [], isMoving: false };
  const at = (hlc: number, version = hlc): { ballot: Ballot; record: ObjectRecord } => ({ ballot: ballot(hlc), record: live(ballot(version)) });
  test('is settled by a quorum at one accepted ballot', () => {
    const tally = new ReadTally(sets, ALL_RULES);
    expect(tally.add(nodeId('a'), at(5))).toBe('wait');
    expect(tally.add(nodeId('b'), at(5))).toBe('settled');
    expect(tally.holders).toEqual([nodeId('a'), nodeId('b')]);
  });
  test('is split by different ballots, even of one version, until a third agrees', () => {
    const tally = new ReadTally(sets, ALL_RULES);
    tally.add(nodeId('a'), at(5, 5));
    expect(tally.add(nodeId('b'), at(8, 5))).toBe('split');
    expect(tally.add(nodeId('c'), at(8, 5))).toBe('settled');
    expect(tally.highest?.ballot).toEqual(ballot(8));
  });
  test('is not settled by a majority below a higher ballot', () => {
    const tally = new ReadTally(sets, ALL_RULES);
    tally.add(nodeId('a'), at(8));
    tally.add(nodeId('b'), at(5));
    expect(tally.add(nodeId('c'), at(5))).toBe('split');
  });
  test('of a name that no quorum member has is absent', () => {
    const tally = new ReadTally(sets, ALL_RULES);
    tally.add(nodeId('a'), null);
    expect(tally.add(nodeId('b'), null)).toBe('settled');
    expect(tally.highest).toBeNull();
  });
  test('is impossible without a majority', () => {
    const tally = new ReadTally(sets, ALL_RULES);
    tally.fail(nodeId('a'));
    expect(tally.fail(nodeId('b'))).toBe('impossible');
  });
});
