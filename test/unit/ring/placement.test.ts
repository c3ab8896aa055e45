import { describe, expect, test } from '@jest/globals';
import type { Layout } from '../../../src/domain/layout.ts';
import { NO_STRAIN } from '../../../src/ring/cluster-view.ts';
import { arcsHeldBy, arcsNotHeldBy } from '../../../src/ring/held-arcs.ts';
import { nextOwner, ownerOf } from '../../../src/ring/owner.ts';
import { effectiveReplicas, memberById, replicaSets } from '../../../src/ring/placement.ts';
import { shares } from '../../../src/ring/shares.ts';
import { layoutOf, memberAt, nobody, nodeIdOf, position } from './ring-fixture.ts';

const [a, b, c, d] = ['a', 'b', 'c', 'd'].map(nodeIdOf) as [ReturnType<typeof nodeIdOf>, ReturnType<typeof nodeIdOf>, ReturnType<typeof nodeIdOf>, ReturnType<typeof nodeIdOf>];
const ring = layoutOf([memberAt('a', [64]), memberAt('b', [128]), memberAt('c', [192])], { replicas: 2 });

describe('placement', () => {
  test('finds the arc of a position, its ends included on the right side', () => {
    expect(replicaSets(ring, position(65))).toMatchObject({ from: 64, end: 128, old: [b, c], new: [b, c], isMoving: false });
    expect(replicaSets(ring, position(128)).end).toBe(128);
    expect(replicaSets(ring, position(129)).end).toBe(192);
  });

  test('the first arc wraps over 0', () => {
    for (const at of [0, 64, 193, 255]) expect(replicaSets(ring, position(at))).toMatchObject({ from: 192, end: 64, old: [a, b] });
  });

  test('a ring of one is a single arc', () => {
    const one = layoutOf([memberAt('a', [64])]);
    for (const at of [0, 63, 64, 65, 255]) expect(replicaSets(one, position(at)).old).toEqual([a]);
  });

  test('an arc moves when its sets differ, not when only their order does', () => {
    const layout: Layout = { ...ring, phase: 'moving', arcs: [
      { end: position(64), old: [a, b], new: [b, a], since: new Map() },
      { end: position(128), old: [b, c], new: [b, a], since: new Map() },
      { end: position(192), old: [c], new: [c, a], since: new Map() },
    ] };
    expect(replicaSets(layout, position(1)).isMoving).toBe(false);
    expect(replicaSets(layout, position(100)).isMoving).toBe(true);
    expect(replicaSets(layout, position(100)).all).toEqual([b, c, a]);
    expect(replicaSets(layout, position(150)).isMoving).toBe(true);
  });

  test('the number of copies is limited by the members that own already', () => {
    expect(effectiveReplicas(ring)).toBe(2);
    expect(effectiveReplicas(layoutOf([memberAt('a', [1]), { ...memberAt('b', [2]), state: 'joining' }]))).toBe(1);
  });

  test('members are found by id', () => {
    expect(memberById(ring, b)?.name).toBe('b:7000');
    expect(memberById(ring, d)).toBeUndefined();
  });
});

describe('owner', () => {
  test('is the first reachable node of the list, then the next one', () => {
    const view = { self: a, layout: ring, unreachable: nobody, strain: NO_STRAIN };
    expect(ownerOf(view, position(100))).toBe(b);
    expect(nextOwner(view, position(100))).toBe(c);
    expect(ownerOf({ ...view, unreachable: new Set([b]) }, position(100))).toBe(c);
    expect(nextOwner({ ...view, unreachable: new Set([b]) }, position(100))).toBeNull();
    expect(ownerOf({ ...view, unreachable: new Set([b, c]) }, position(100))).toBeNull();
  });

  test('is of the old set until the move ends', () => {
    const layout: Layout = { ...ring, phase: 'moving', arcs: ring.arcs.map((arc) => ({ ...arc, new: [d, ...arc.new.slice(0, 1)] })) };
    expect(ownerOf({ self: a, layout, unreachable: nobody, strain: NO_STRAIN }, position(100))).toBe(b);
  });
});

describe('shares', () => {
  test('are the lengths of the arcs owned and held', () => {
    const parts = shares(ring);
    expect(parts.get(a)).toEqual({ ownedShare: 0.5, heldShare: 0.75 });
    expect(parts.get(b)).toEqual({ ownedShare: 0.25, heldShare: 0.75 });
    expect(parts.get(c)).toEqual({ ownedShare: 0.25, heldShare: 0.5 });
  });

  test('of a single node are the whole ring', () => {
    expect(shares(layoutOf([memberAt('a', [9])])).get(a)).toEqual({ ownedShare: 1, heldShare: 1 });
  });
});

describe('held arcs', () => {
  test('join neighbours, over 0 too', () => {
    expect(arcsHeldBy(ring, a)).toEqual([{ from: 128, to: 64 }]);
    expect(arcsHeldBy(ring, b)).toEqual([{ from: 192, to: 128 }]);
    expect(arcsHeldBy(ring, c)).toEqual([{ from: 64, to: 192 }]);
    expect(arcsNotHeldBy(ring, a)).toEqual([{ from: 64, to: 128 }]);
    expect(arcsNotHeldBy(ring, c)).toEqual([{ from: 192, to: 64 }]);
  });

  test('are the whole ring or nothing where everybody holds everything', () => {
    const all = layoutOf(ring.members, { replicas: 3 });
    expect(arcsHeldBy(all, a)).toEqual([{ from: 192, to: 192 }]);
    expect(arcsNotHeldBy(all, a)).toEqual([]);
    expect(arcsNotHeldBy(all, d)).toEqual([{ from: 192, to: 192 }]);
  });
});
