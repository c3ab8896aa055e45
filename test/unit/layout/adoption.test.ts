import { describe, expect, test } from '@jest/globals';
import type { NodeId } from '../../../src/domain/ids.ts';
import type { Layout } from '../../../src/domain/layout.ts';
import { adoption, isNewer } from '../../../src/layout/adoption.ts';
import { layoutOf, memberAt, nodeIdOf, position } from '../ring/ring-fixture.ts';

const a = nodeIdOf('a');
const ring = layoutOf([memberAt('a', [64]), memberAt('b', [128]), memberAt('c', [192])]);

function withSince(epoch: number, sinces: readonly (readonly (readonly [NodeId, number])[])[]): Layout {
  const ends = [64, 128, 192];
  return { ...ring, epoch, arcs: sinces.map((since, i) => ({ end: position(ends[i] ?? 0), old: [a], new: [a], since: new Map(since) })) };
}

describe('adoption', () => {
  const next = withSince(9, [[[a, 8]], [[a, 5]], [[nodeIdOf('b'), 9]]]);

  test('discards where the run of this node began after its own epoch', () => {
    expect(adoption({ ...ring, epoch: 7 }, next, a).discards).toEqual([{ from: 192, to: 64 }]);
    expect(adoption({ ...ring, epoch: 8 }, next, a).discards).toEqual([]);
    expect(adoption({ ...ring, epoch: 4 }, next, a).discards).toEqual([{ from: 192, to: 128 }]);
  });

  test('a node without a layout discards wherever a run is named', () => {
    expect(adoption(null, next, a).discards).toEqual([{ from: 192, to: 128 }]);
    expect(adoption(null, ring, a).discards).toEqual([]);
  });

  test('joins discarded neighbours over 0', () => {
    const all = withSince(9, [[[a, 8]], [[a, 9]], [[a, 8]]]);
    expect(adoption({ ...ring, epoch: 7 }, all, a).discards).toEqual([{ from: 192, to: 192 }]);
    const outer = withSince(9, [[[a, 8]], [], [[a, 9]]]);
    expect(adoption({ ...ring, epoch: 7 }, outer, a).discards).toEqual([{ from: 128, to: 64 }]);
  });

  test('only a layout of the same ring and a higher epoch is newer', () => {
    expect(isNewer(ring, null)).toBe(true);
    expect(isNewer({ ...ring, epoch: 2 }, ring)).toBe(true);
    expect(isNewer(ring, ring)).toBe(false);
    expect(isNewer({ ...ring, epoch: 2, clusterId: 'f'.repeat(32) as Layout['clusterId'] }, ring)).toBe(false);
  });
});
