/** Ring arithmetic, preference lists and layouts against naive definitions, over random rings (invariants I3, I4). */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { NodeId } from '../../src/domain/ids.ts';
import type { Layout, LayoutMember } from '../../src/domain/layout.ts';
import { isInArc, type RingArc } from '../../src/domain/ring-position.ts';
import { foundingLayout } from '../../src/layout/founding-layout.ts';
import { nextLayout, type Situation } from '../../src/layout/next-layout.ts';
import { arcsHeldBy, arcsNotHeldBy } from '../../src/ring/held-arcs.ts';
import { allReplicaSets, replicaSets } from '../../src/ring/placement.ts';
import { pointers } from '../../src/ring/pointers.ts';
import { preferenceList } from '../../src/ring/preference-list.ts';
import { shares } from '../../src/ring/shares.ts';
import { tokenRing } from '../../src/ring/token-ring.ts';
import { joinerOf, layoutOf, memberAt, nobody, nodeIdOf, position, randomIdOf } from '../unit/ring/ring-fixture.ts';

const KEY_BITS = 8;
const RING = 256;

/** Rings with equal tokens, several tokens a node, few or many zones. */
const members = fc.array(fc.record({ tokens: fc.array(fc.nat(RING - 1), { minLength: 1, maxLength: 4 }), zone: fc.nat(3) }), { minLength: 1, maxLength: 9 })
  .map((list) => list.map(({ tokens, zone }, i) => memberAt(`n${i}`, tokens, `z${zone}`)));
const copies = fc.integer({ min: 1, max: 5 });

/** The definition, slowly: tokens by distance from the position, zones first, then the skipped. */
function naiveList(all: readonly LayoutMember[], at: number, count: number): NodeId[] {
  const order = all
    .flatMap((m) => m.tokens.map((token) => ({ nodeId: m.nodeId, zone: m.zone, distance: (token - at + RING) % RING })))
    .sort((x, y) => x.distance - y.distance || (x.nodeId < y.nodeId ? -1 : 1));
  const zoneCount = new Set(all.map((m) => m.zone)).size;
  const chosen: NodeId[] = [];
  const zones = new Set<string>();
  let rest: NodeId[] = [];
  for (const { nodeId, zone } of order) {
    if (chosen.includes(nodeId) || rest.includes(nodeId)) continue;
    if (zones.size < zoneCount && zones.has(zone)) { rest.push(nodeId); continue; }
    zones.add(zone);
    chosen.push(nodeId);
    if (zones.size === zoneCount) { chosen.push(...rest); rest = []; }
  }
  return chosen.slice(0, Math.min(count, all.length));
}

describe('any ring', () => {
  test('gives every position min(n, members) distinct nodes, of distinct zones while there are some (I3)', () => {
    fc.assert(fc.property(members, copies, fc.nat(RING - 1), (all, n, at) => {
      const list = preferenceList(tokenRing(all), position(at), n);
      expect(list).toEqual(naiveList(all, at, n));
      expect(new Set(list).size).toBe(Math.min(n, all.length));
      const zoneOf = new Map(all.map((m) => [m.nodeId, m.zone]));
      const zoneCount = new Set(zoneOf.values()).size;
      expect(new Set(list.map((id) => zoneOf.get(id))).size).toBe(Math.min(list.length, zoneCount));
    }));
  });

  test('gives the same lists whatever the order in which members are listed', () => {
    fc.assert(fc.property(members, copies, fc.nat(RING - 1), (all, n, at) => {
      expect(preferenceList(tokenRing([...all].reverse()), position(at), n)).toEqual(preferenceList(tokenRing(all), position(at), n));
    }));
  });

  test('is covered by its arcs exactly once, and placement finds the right one', () => {
    fc.assert(fc.property(members, copies, (all, replicas) => {
      const layout = layoutOf(all, { keyBits: KEY_BITS, replicas });
      const ends = layout.arcs.map((arc) => arc.end);
      expect(ends).toEqual([...new Set(ends)].sort((x, y) => x - y));
      for (let at = 0; at < RING; at++) {
        const covering = allReplicaSets(layout).filter((sets) => isInArc(at, sets.from, sets.end));
        expect(covering).toEqual([replicaSets(layout, position(at))]);
        expect(covering[0]?.old).toEqual(naiveList(all, at, replicas));
      }
      const parts = [...shares(layout).values()];
      expect(parts.reduce((sum, part) => sum + part.ownedShare, 0)).toBeCloseTo(1);
      expect(parts.reduce((sum, part) => sum + part.heldShare, 0)).toBeCloseTo(Math.min(replicas, all.length));
      const positions = Array.from({ length: RING }, (_, at) => at);
      const times = (arcs: readonly RingArc[]): number[] => positions.map((at) => arcs.filter((arc) => isInArc(at, arc.from, arc.to)).length);
      for (const { nodeId } of all) {
        const isHeld = positions.map((at) => replicaSets(layout, position(at)).all.includes(nodeId));
        expect(times(arcsHeldBy(layout, nodeId))).toEqual(isHeld.map((held) => (held ? 1 : 0)));
        expect(times(arcsNotHeldBy(layout, nodeId))).toEqual(isHeld.map((held) => (held ? 0 : 1)));
      }
    }), { numRuns: 40 });
  });

  test('is one circle of successors, each other\'s predecessors, whose intervals cover the ring once (I4)', () => {
    fc.assert(fc.property(members, fc.array(fc.nat(8)), (all, down) => {
      const layout = layoutOf(all, { keyBits: KEY_BITS });
      const unreachable = new Set(down.map((i) => nodeIdOf(`n${i}`)));
      const up = layout.members.filter((m) => !unreachable.has(m.nodeId));
      let covered = 0;
      const visited = new Set<NodeId>();
      let at = up[0]?.nodeId;
      while (at !== undefined && !visited.has(at)) {
        visited.add(at);
        const mine = pointers(layout, at, unreachable);
        if (mine === null) throw new Error('a member has pointers');
        expect(pointers(layout, mine.successor.nodeId, unreachable)?.predecessor.nodeId).toBe(at);
        expect(mine.successors).toHaveLength(Math.max(1, Math.min(4, up.length - 1)));
        const self = up.find((m) => m.nodeId === at);
        const distance = ((self?.tokens[0] ?? 0) - (mine.predecessor.tokens[0] as number) + RING) % RING;
        covered += distance;
        at = mine.successor.nodeId;
      }
      expect(visited.size).toBe(up.length);
      // Zero when all reachable keys are the same point: then one of the intervals is the whole ring.
      if (up.length > 0) expect([RING, 0]).toContain(covered);
      if (new Set(up.map((m) => m.tokens[0])).size > 1) expect(covered).toBe(RING);
    }));
  });
});

describe('a ring that changes', () => {
  const keep = { abortAfterMs: 10_000, settleMs: 0 };

  function decided(layout: Layout, change: Partial<Situation>): Layout {
    const ids = [...layout.members.map((m) => m.nodeId), ...(change.joins ?? []).map((j) => j.nodeId)];
    const found = nextLayout(layout, {
      joins: [], leaves: new Set(), outs: new Set(), live: new Set(ids), seen: new Map(ids.map((id) => [id, layout.epoch])), layoutAgeMs: 0, caughtForMs: 0,
      caught: new Map(ids.map((id) => [id, new Set(layout.arcs.map((arc) => arc.end))])), ...change,
    }, keep);
    if (found === null) throw new Error('no next layout');
    return found;
  }

  test('moves only what the joiner takes, or what the leaver gives up', () => {
    fc.assert(fc.property(fc.integer({ min: 3, max: 8 }), fc.nat(1000), (count, salt) => {
      const name = (i: number): string => `n${salt}-${i}:1`;
      const start = foundingLayout({
        clusterId: nodeIdOf('c') as unknown as Layout['clusterId'], keyBits: 16, replicas: 3, tokensPerNode: 3, candidatesPerToken: 2,
        members: Array.from({ length: count }, (_, i) => joinerOf(name(i))),
      });
      const joiner = joinerOf(name(count));
      const joining = decided(start, { joins: [joiner] });
      for (const sets of allReplicaSets(joining)) {
        expect(sets.new.filter((id) => !sets.old.includes(id) && id !== joiner.nodeId)).toEqual([]);
        expect(sets.isMoving).toBe(sets.new.includes(joiner.nodeId));
      }
      const leaver = randomIdOf(name(0));
      const leaving = decided(decided(joining, {}), { leaves: new Set([leaver]) });
      for (const sets of allReplicaSets(leaving)) expect(sets.isMoving).toBe(sets.old.includes(leaver));
    }), { numRuns: 40 });
  });

  test('has old and new lists of each moving layout equal to the stable ones beside it (I3)', () => {
    fc.assert(fc.property(fc.array(fc.nat(9), { minLength: 1, maxLength: 8 }), (steps) => {
      let layout = foundingLayout({
        clusterId: nodeIdOf('c') as unknown as Layout['clusterId'], keyBits: 8, replicas: 3, tokensPerNode: 2, candidatesPerToken: 1, members: [joinerOf('n0:1')],
      });
      for (const step of steps) {
        const id = randomIdOf(`n${step}:1`);
        const isMember = layout.members.some((m) => m.nodeId === id);
        if (isMember && layout.members.length === 1) continue;
        const moving = decided(layout, isMember ? { leaves: new Set([id]) } : { joins: [joinerOf(`n${step}:1`)] });
        const stable = decided(moving, {});
        expect([moving.epoch, stable.epoch]).toEqual([layout.epoch + 1, layout.epoch + 2]);
        for (let at = 0; at < RING; at++) {
          expect(replicaSets(moving, position(at)).old).toEqual(replicaSets(layout, position(at)).old);
          expect(replicaSets(moving, position(at)).new).toEqual(replicaSets(stable, position(at)).old);
          expect(replicaSets(stable, position(at)).old).toHaveLength(Math.min(3, stable.members.length));
        }
        expect(pointers(stable, stable.members[0]?.nodeId as NodeId, nobody)).not.toBeNull();
        layout = stable;
      }
    }), { numRuns: 40 });
  });
});
