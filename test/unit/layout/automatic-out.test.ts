/** Which members that are down are taken out, and which rail keeps the others. */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { NodeId } from '../../../src/domain/ids.ts';
import type { Layout } from '../../../src/domain/layout.ts';
import { membersDue, outVerdicts, railInWords, type DownMember, type OutOptions, type OutSituation } from '../../../src/layout/automatic-out.ts';
import { foundingLayout } from '../../../src/layout/founding-layout.ts';
import { nextLayout } from '../../../src/layout/next-layout.ts';
import { allReplicaSets } from '../../../src/ring/placement.ts';
import { joinerOf, nodeIdOf, randomIdOf as id } from '../ring/ring-fixture.ts';

const OPTIONS: OutOptions = { outAfterMs: 600_000, outWatchMs: 10_000 };
const LONG: DownMember = { downForMs: 600_000, watchedForMs: 10_000 };

function founded(zones: readonly string[], replicas = 3): Layout {
  return foundingLayout({
    clusterId: nodeIdOf('cluster') as unknown as Layout['clusterId'], keyBits: 16, replicas, tokensPerNode: 2, candidatesPerToken: 2,
    members: zones.map((zone, i) => joinerOf(`n${i}:1`, zone)),
  });
}

const ring = (count: number, replicas = 3): Layout => founded(Array.from({ length: count }, () => ''), replicas);
const member = (i: number): NodeId => id(`n${i}:1`);

function down(members: readonly number[], how: DownMember = LONG, alsoNotUp: readonly number[] = []): OutSituation {
  return { notUp: new Set([...members, ...alsoNotUp].map(member)), down: new Map(members.map((i) => [member(i), how])) };
}

const due = (layout: Layout, situation: OutSituation, options = OPTIONS): number => membersDue(layout, situation, options).size;
const reason = (layout: Layout, situation: OutSituation, options = OPTIONS): string => {
  const [verdict] = outVerdicts(layout, situation, options).values();
  return verdict?.kind === 'kept' ? railInWords(verdict.reason) : verdict?.kind ?? 'no verdict';
};

describe('a member that is down', () => {
  test('is taken out when it has been down for outAfter, and this node watched the end of it', () => {
    expect(membersDue(ring(4), down([1]), OPTIONS)).toEqual(new Set([member(1)]));
    expect(outVerdicts(ring(4), down([1], { downForMs: 599_000, watchedForMs: 30_000 }), OPTIONS).get(member(1))).toEqual({ kind: 'waits', leftMs: 1_000 });
    expect(outVerdicts(ring(4), down([1], { downForMs: 9e9, watchedForMs: 1_000 }), OPTIONS).get(member(1))).toEqual({ kind: 'waits', leftMs: 9_000 });
  });

  test('stays where n others are not there to take over its copies', () => {
    expect(reason(ring(3), down([1]))).toBe('only 3 members: nobody can replace it');
    expect(reason(ring(2), down([1]))).toBe('only 2 members: nobody can replace it');
    expect(reason(ring(6, 5), down([1], LONG, [2]))).toBe('only 4 of 6 members are up and 5 are needed to replace it');
    expect(due(ring(6, 5), down([1]))).toBe(1);
  });

  test('stays when more than a quarter are not up, restarting and suspected ones counted', () => {
    expect(due(ring(8), down([1, 2]))).toBe(2);
    expect(reason(ring(8), down([1, 2, 3]))).toContain('3 of 8 members are down');
    expect(due(ring(7), down([1, 2]))).toBe(0);
    expect(reason(ring(7), down([1], LONG, [2]))).toContain('too many at once');
  });

  test('stays with its whole zone of two or more, and goes when it was alone there', () => {
    const zones = founded(['a', 'a', 'b', 'b', 'c', 'c', 'd', 'd']);
    expect(reason(zones, down([0, 1]))).toContain('all of the zone a is down');
    expect(due(zones, down([0, 2]))).toBe(2);
    expect(due(founded(['a', 'b', 'b', 'c', 'c']), down([0]))).toBe(1);
    expect(due(founded(['a', 'a', 'a', 'a']), down([0]))).toBe(1);
  });

  test('stays for ever when that is switched off', () => {
    expect(reason(ring(5), down([1]), { ...OPTIONS, outAfterMs: null })).toContain('--out-after 0');
  });

  test('is never taken out beyond the rails, whoever is down (property)', () => {
    const arbitrary = fc.record({
      zones: fc.array(fc.constantFrom('a', 'b', 'c', 'd'), { minLength: 1, maxLength: 12 }), replicas: fc.integer({ min: 1, max: 5 }),
      states: fc.array(fc.constantFrom('up', 'suspect', 'down', 'long down'), { minLength: 12, maxLength: 12 }),
    });
    fc.assert(fc.property(arbitrary, ({ zones, replicas, states }) => {
      const layout = founded(zones, replicas);
      const all = zones.map((_zone, i) => i);
      const notUp = all.filter((i) => states[i] !== 'up');
      const isLong = (i: number): boolean => states[i] === 'long down';
      const outs = membersDue(layout, {
        notUp: new Set(notUp.map(member)),
        down: new Map(notUp.filter((i) => states[i] !== 'suspect').map((i) => [member(i), isLong(i) ? LONG : { downForMs: 5_000, watchedForMs: 5_000 }])),
      }, OPTIONS);
      const up = all.length - notUp.length;
      if (outs.size > 0) {
        expect(up).toBeGreaterThanOrEqual(replicas);
        expect(notUp.length).toBeLessThanOrEqual(Math.max(1, Math.floor(all.length / 4)));
      }
      for (const i of all.filter((j) => outs.has(member(j)))) {
        expect(isLong(i)).toBe(true);
        const zone = all.filter((j) => zones[j] === zones[i]);
        expect(zone.length === 1 || zone.some((j) => states[j] === 'up')).toBe(true);
      }
    }), { numRuns: 500 });
  });
});

describe('the move that takes a member out', () => {
  const layout = ring(5);
  const ids = layout.members.map((m) => m.nodeId);
  const live = new Set(ids.filter((nodeId) => nodeId !== member(1)));
  const situation = {
    joins: [], leaves: new Set<NodeId>(), outs: new Set([member(1)]), live, seen: new Map(ids.map((nodeId) => [nodeId, layout.epoch])), caught: new Map(),
    layoutAgeMs: 0, caughtForMs: 0,
  };
  const options = { abortAfterMs: 10_000, settleMs: 0 };

  test('names it lost, gives its arcs to the survivors, and ends without it', () => {
    const moving = nextLayout(layout, situation, options) as Layout;
    expect(moving.members.find((m) => m.nodeId === member(1))?.state).toBe('lost');
    for (const sets of allReplicaSets(moving)) {
      expect(sets.new).not.toContain(member(1));
      expect(sets.new).toHaveLength(3);
    }
    const caught = new Map([...live].map((nodeId) => [nodeId, new Set(moving.arcs.map((arc) => arc.end))]));
    const seen = new Map([...live].map((nodeId) => [nodeId, moving.epoch]));
    const stable = nextLayout(moving, { ...situation, outs: new Set(), caught, seen }, options) as Layout;
    expect(stable.members.map((m) => m.nodeId)).not.toContain(member(1));
    expect(stable).toMatchObject({ phase: 'stable', epoch: 3 });
    expect(stable.voters).toHaveLength(3);
  });

  test('is a replacement instead when a new nodeId asks for its name', () => {
    const heir = joinerOf('n1:1', '', id('heir'));
    const moving = nextLayout(layout, { ...situation, joins: [heir], live: new Set([...live, heir.nodeId]) }, options) as Layout;
    expect(moving.members.find((m) => m.nodeId === member(1))?.state).toBe('leaving');
    expect(moving.members.find((m) => m.nodeId === heir.nodeId)?.tokens).toEqual(layout.members.find((m) => m.nodeId === member(1))?.tokens);
  });
});
