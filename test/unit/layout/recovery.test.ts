/** The layout that a recovery makes, what it says it costs, and which layouts follow which. */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { NodeId } from '../../../src/domain/ids.ts';
import type { Layout, RecoveryRecord } from '../../../src/domain/layout.ts';
import { BinaryReader } from '../../../src/encoding/binary-reader.ts';
import { BinaryWriter } from '../../../src/encoding/binary-writer.ts';
import { readLayout, writeLayout } from '../../../src/encoding/layout-encoding.ts';
import { adoption } from '../../../src/layout/adoption.ts';
import { descentOf } from '../../../src/layout/descent.ts';
import { foundingLayout } from '../../../src/layout/founding-layout.ts';
import { isMajority, nextLayout } from '../../../src/layout/next-layout.ts';
import { assessRecovery, costInWords, recoveredLayout } from '../../../src/layout/recovery.ts';
import { allReplicaSets, replicaSets } from '../../../src/ring/placement.ts';
import { joinerOf, nodeIdOf, randomIdOf as id } from '../ring/ring-fixture.ts';

const RECORD: RecoveryRecord = { epoch: 1_000_001, fromEpoch: 1, atMs: 5, by: 'n0:1', lost: ['n1:1'] };
const OPTIONS = { abortAfterMs: 10_000, settleMs: 0 };

function ring(count: number, replicas: number): Layout {
  return foundingLayout({
    clusterId: nodeIdOf('cluster') as unknown as Layout['clusterId'], keyBits: 16, replicas, tokensPerNode: 2, candidatesPerToken: 2,
    members: Array.from({ length: count }, (_, i) => joinerOf(`n${i}:1`)),
  });
}

const members = (...numbers: readonly number[]): ReadonlySet<NodeId> => new Set(numbers.map((i) => id(`n${i}:1`)));
const cases = fc.record({ count: fc.integer({ min: 1, max: 10 }), replicas: fc.integer({ min: 1, max: 7 }), lost: fc.uniqueArray(fc.nat(9), { minLength: 1, maxLength: 9 }) })
  .map(({ count, replicas, lost }) => ({ layout: ring(count, replicas), gone: members(...lost.filter((i) => i < count).slice(0, count - 1)) }));

/** Everybody that is left is up, has the layout and has caught up everything. */
function settled(layout: Layout, gone: ReadonlySet<NodeId>, layoutAgeMs = 0): Layout | null {
  const left = layout.members.map((member) => member.nodeId).filter((nodeId) => !gone.has(nodeId));
  const caught = new Map(left.map((nodeId) => [nodeId, new Set(layout.arcs.map((arc) => arc.end))]));
  return nextLayout(layout, {
    joins: [], leaves: new Set(), outs: new Set(), live: new Set(left), seen: new Map(left.map((nodeId) => [nodeId, layout.epoch])), caught, layoutAgeMs, caughtForMs: 0,
  }, OPTIONS);
}

describe('the layout of a recovery', () => {
  test('reads every record that a survivor holds, and gives each arc its copies among the survivors (property)', () => {
    fc.assert(fc.property(cases, ({ layout, gone }) => {
      const recovered = recoveredLayout(layout, gone, RECORD);
      const isLeft = (nodeId: NodeId): boolean => !gone.has(nodeId);
      const leftCount = layout.members.filter((member) => isLeft(member.nodeId)).length;
      for (const sets of allReplicaSets(recovered)) {
        const before = replicaSets(layout, sets.end).old;
        const left = before.filter(isLeft);
        expect(sets.new.every(isLeft)).toBe(true);
        expect(sets.new).toHaveLength(Math.min(layout.replicas, leftCount));
        const majority = Math.floor(sets.old.length / 2) + 1;
        const answering = sets.old.filter(isLeft);
        // The move can end: those that are left are a majority of old.
        expect(answering.length).toBeGreaterThanOrEqual(majority);
        if (isMajority(before, isLeft)) expect(sets.old).toEqual(before);
        else {
          // No majority leaves out anyone: any one of them may hold the only copy of a record.
          expect(answering.length).toBe(left.length === 0 ? leftCount : left.length);
          for (const nodeId of left) expect(answering).toContain(nodeId);
          if (left.length > 0) expect(answering.length).toBe(majority);
        }
      }
    }), { numRuns: 300 });
  });

  test('ends in a stable ring of the survivors, and is never given up (property)', () => {
    fc.assert(fc.property(cases, ({ layout, gone }) => {
      const recovered = recoveredLayout(layout, gone, RECORD);
      expect(readLayout(new BinaryReader(Buffer.from(written(recovered))))).toEqual(recovered);
      const stable = settled(recovered, gone);
      expect(stable?.members.map((member) => member.nodeId)).toEqual(layout.members.map((member) => member.nodeId).filter((nodeId) => !gone.has(nodeId)));
      expect(stable).toMatchObject({ phase: 'stable', epoch: RECORD.epoch + 1, recoveries: [RECORD] });
      const everybody = new Set(layout.members.map((member) => member.nodeId));
      expect(settled({ ...recovered, arcs: recovered.arcs.map((arc) => ({ ...arc, new: [...arc.new] })) }, everybody, 60_000)).toBeNull();
    }), { numRuns: 100 });
  });

  test('discards nothing that a replica of the arc holds, and nothing at all where no replica is left', () => {
    const layout = ring(6, 3);
    const gone = members(1, 2, 3, 4);
    const recovered = recoveredLayout(layout, gone, RECORD);
    for (const self of members(0, 5)) {
      const { discards } = adoption(layout, recovered, self);
      for (const arc of discards) {
        const { old } = replicaSets(layout, arc.to);
        expect(old).not.toContain(self);
        expect(old.some((nodeId) => !gone.has(nodeId))).toBe(true);
      }
    }
  });

  test('that a second recovery starts from keeps what the first one was reading', () => {
    const layout = ring(5, 3);
    const first = recoveredLayout(layout, members(3, 4), RECORD);
    const second = recoveredLayout(first, members(2, 3, 4), { ...RECORD, fromEpoch: RECORD.epoch, epoch: 2 * RECORD.epoch });
    expect(second.recoveries).toHaveLength(2);
    for (const sets of allReplicaSets(second)) {
      for (const nodeId of replicaSets(layout, sets.end).old) if (members(0, 1).has(nodeId)) expect(sets.old).toContain(nodeId);
    }
  });
});

describe('the cost of a recovery', () => {
  test('is none, and it isn\'t needed, while voters and arcs have a majority (property)', () => {
    fc.assert(fc.property(cases, ({ layout, gone }) => {
      const isLeft = (nodeId: NodeId): boolean => !gone.has(nodeId);
      const lives = isMajority(layout.voters, isLeft) && allReplicaSets(layout).every((sets) => isMajority(sets.old, isLeft));
      const { isNeeded, lostShare, doubtfulShare, startInstead } = assessRecovery(layout, gone);
      expect(isNeeded).toBe(!lives);
      if (lives) expect([lostShare, doubtfulShare, startInstead.length]).toEqual([0, 0, 0]);
      expect(lostShare + doubtfulShare).toBeLessThan(1.000_001);
      const back = new Set([...gone].filter((nodeId) => !startInstead.includes(nodeId)));
      expect(assessRecovery(layout, back).isNeeded).toBe(false);
    }), { numRuns: 300 });
  });

  test('is told in words', () => {
    expect(costInWords(ring(3, 3), members(1, 2))).toMatch(/^Given up for good: n1:1, n2:1\. Of 100\.0 % of all names fewer than a majority .* Instead, without any loss: start n[12]:1 with its disk\.$/);
    expect(costInWords(ring(2, 1), members(1))).toMatch(/No copy is left of \d+\.\d+ % of all names/);
  });
});

describe('a layout', () => {
  const base: Layout = { ...ring(3, 3), epoch: 9 };
  const at = (epoch: number, ...recoveries: readonly RecoveryRecord[]): Layout => ({ ...base, epoch, recoveries });
  const one: RecoveryRecord = { ...RECORD, fromEpoch: 9, epoch: 100 };
  const other: RecoveryRecord = { ...RECORD, fromEpoch: 9, epoch: 200, by: 'n2:1' };

  test('follows another by votes, or by a recovery that began at its epoch or later', () => {
    expect(descentOf(at(10), base)).toBe('follows');
    expect(descentOf(base, base)).toBe('older');
    expect(descentOf(at(8), base)).toBe('older');
    expect(descentOf(at(101, one), base)).toBe('recovered');
    expect(descentOf(at(101, one), at(3))).toBe('recovered');
    expect(descentOf(at(3), at(101, one))).toBe('older');
    expect(descentOf(at(101, one), at(100, one))).toBe('follows');
    expect(descentOf({ ...base, clusterId: nodeIdOf('another') as unknown as Layout['clusterId'] }, base)).toBe('foreign');
  });

  test('is forked from one that went on without the recovery, or was recovered by itself', () => {
    expect(descentOf(at(101, one), at(10))).toBe('forked');
    expect(descentOf(at(10), at(101, one))).toBe('forked');
    expect(descentOf(at(201, other), at(101, one))).toBe('forked');
    expect(descentOf(at(101, one), at(201, other))).toBe('forked');
  });
});

function written(layout: Layout): Uint8Array {
  const writer = new BinaryWriter();
  writeLayout(writer, layout);
  return writer.finish();
}
