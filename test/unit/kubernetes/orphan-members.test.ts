import { describe, expect, test } from '@jest/globals';
import { orphanMembers, type OrphanEvidence } from '../../../src/kubernetes/orphan-members.ts';
import { ordinalOf } from '../../../src/kubernetes/ordinal.ts';
import type { DesiredNodes } from '../../../src/ports/cluster-info.ts';

const three: DesiredNodes = { kind: 'known', uid: 'u', replicas: 3, firstOrdinal: 0, isDeleting: false };
const member = (ordinal: number, downMs: number | null): OrphanEvidence['members'][number] => ({ host: `dht-${ordinal}`, name: `dht-${ordinal}:7400`, downMs });
const evidence = (over: Partial<OrphanEvidence> = {}): OrphanEvidence => ({
  statefulSet: 'dht', reapAfterMs: 600_000, now: three, before: three, uidAtStart: 'u',
  members: [member(0, 900_000), member(2, null), member(3, 900_000), member(4, 1_000), member(5, null)], ...over,
});

test('a member beyond the range that is down long enough is an orphan, nobody else', () => {
  expect(orphanMembers(evidence())).toEqual(['dht-3:7400']);
});

describe('nobody is an orphan when', () => {
  test.each<[string, Partial<OrphanEvidence>]>([
    ['there was only one read', { before: null }],
    ['the earlier read wanted more', { before: { ...three, replicas: 5 } }],
    ['the last read wanted more', { now: { ...three, replicas: 5 } }],
    ['the set is gone', { now: { kind: 'gone' } }],
    ['the API gave no answer', { now: { kind: 'unknown', detail: '' } }],
    ['the set is being deleted', { now: { ...three, isDeleting: true } }],
    ['the set is scaled to zero', { now: { ...three, replicas: 0 }, before: { ...three, replicas: 0 } }],
    ['another set took the name', { now: { ...three, uid: 'other' } }],
  ])('%s', (_what, over) => {
    expect(orphanMembers(evidence(over))).toEqual([]);
  });
});

test('an ordinal is the number behind the name of the set', () => {
  expect(ordinalOf('dht-0', 'dht')).toBe(0);
  expect(ordinalOf('my-dht-12', 'my-dht')).toBe(12);
  for (const name of ['dht', 'dht-', 'dht-01', 'dht-x', 'other-1', 'dht-1-2', 'dht--1']) expect(ordinalOf(name, 'dht')).toBeNull();
});
