import { describe, expect, test } from '@jest/globals';
import type { ClusterId, Epoch, NodeId } from '../../../src/domain/ids.ts';
import type { Layout } from '../../../src/domain/layout.ts';
import type { Position } from '../../../src/domain/ring-position.ts';
import { foundingLayout, type Joiner } from '../../../src/layout/founding-layout.ts';
import { moveProgress, nextLayout, type Situation } from '../../../src/layout/next-layout.ts';
import { allReplicaSets, memberById, replicaSets } from '../../../src/ring/placement.ts';
import { joinerOf, nodeIdOf, randomIdOf } from '../ring/ring-fixture.ts';

const OPTIONS = { abortAfterMs: 10_000, settleMs: 3_000 };

function founded(names: readonly string[], replicas = 3): Layout {
  return foundingLayout({
    clusterId: nodeIdOf('cluster') as unknown as ClusterId, keyBits: 16, replicas, tokensPerNode: 2, candidatesPerToken: 2,
    members: names.map((name) => joinerOf(name)),
  });
}

const id = randomIdOf;
const ids = (layout: Layout): NodeId[] => layout.members.map((member) => member.nodeId);

/** Everybody is up and has persisted the layout; nothing is pending or caught up. */
function calm(layout: Layout, change: Partial<Situation> = {}): Situation {
  return {
    joins: [], leaves: new Set(), outs: new Set(), live: new Set(ids(layout)), seen: new Map(ids(layout).map((nodeId) => [nodeId, layout.epoch])),
    caught: new Map(), layoutAgeMs: 0, caughtForMs: 0, ...change,
  };
}

function up(layout: Layout, ...more: NodeId[]): Set<NodeId> {
  return new Set([...ids(layout), ...more]);
}

function caughtBy(layout: Layout, nodeIds: readonly NodeId[]): Map<NodeId, ReadonlySet<Position>> {
  return new Map(nodeIds.map((nodeId) => [nodeId, new Set(layout.arcs.map((arc) => arc.end))]));
}

function next(layout: Layout, situation: Situation): Layout {
  const found = nextLayout(layout, situation, OPTIONS);
  if (found === null) throw new Error('no next layout');
  return found;
}

/** The whole move: everybody is up and catches up. */
function moved(layout: Layout, change: { joins?: Joiner[]; leaves?: NodeId[] }): Layout {
  const joins = change.joins ?? [];
  const moving = next(layout, calm(layout, { joins, leaves: new Set(change.leaves), live: up(layout, ...joins.map((j) => j.nodeId)) }));
  return next(moving, calm(moving, { caught: caughtBy(moving, ids(moving)) }));
}

describe('a stable layout', () => {
  const layout = founded(['a:1', 'b:1', 'c:1', 'd:1']);

  test('stays when nothing is pending', () => {
    expect(nextLayout(layout, calm(layout), OPTIONS)).toBeNull();
  });

  test('takes a joiner that is up, with new replica sets beside the old ones and the old voters', () => {
    const moving = next(layout, calm(layout, { joins: [joinerOf('e:1')], live: up(layout, id('e:1')) }));
    expect(moving).toMatchObject({ epoch: 2, phase: 'moving', voters: layout.voters });
    expect(memberById(moving, id('e:1'))?.state).toBe('joining');
    for (const sets of allReplicaSets(moving)) {
      expect(sets.old).toEqual(replicaSets(layout, sets.end).old);
      expect(sets.old).not.toContain(id('e:1'));
      expect(sets.new).toHaveLength(3);
    }
    expect(allReplicaSets(moving).some((sets) => sets.new.includes(id('e:1')))).toBe(true);
  });

  test('does not take a joiner that is down, or a member as joiner', () => {
    expect(nextLayout(layout, calm(layout, { joins: [joinerOf('e:1'), joinerOf('a:1')] }), OPTIONS)).toBeNull();
  });

  test('takes all pending changes in one move', () => {
    const moving = next(layout, calm(layout, { joins: [joinerOf('e:1'), joinerOf('f:1')], leaves: new Set([id('a:1')]), live: up(layout, id('e:1'), id('f:1')) }));
    expect(moving.members.filter((m) => m.state === 'joining').map((m) => m.name).sort()).toEqual(['e:1', 'f:1']);
    expect(memberById(moving, id('a:1'))?.state).toBe('leaving');
    for (const sets of allReplicaSets(moving)) expect(sets.new).not.toContain(id('a:1'));
  });

  test('takes what is possible alone when all together is not', () => {
    const one = founded(['a:1']);
    const moving = next(one, calm(one, { joins: [joinerOf('b:1')], leaves: new Set([id('a:1'), id('z:1')]), live: up(one, id('b:1')) }));
    expect(moving.epoch).toBe(2);
    const two = founded(['a:1', 'b:1']);
    const leaving = next(two, calm(two, { leaves: new Set(ids(two)) }));
    expect(leaving.members.filter((m) => m.state === 'leaving')).toHaveLength(1);
  });

  test('waits while a moved arc would lack a live majority', () => {
    const live = new Set([id('a:1'), id('b:1'), id('e:1')]);
    expect(nextLayout(layout, calm(layout, { joins: [joinerOf('e:1')], live }), OPTIONS)).toBeNull();
  });

  test('keeps its last member', () => {
    const one = founded(['a:1']);
    expect(nextLayout(one, calm(one, { leaves: new Set(ids(one)) }), OPTIONS)).toBeNull();
  });

  test('gives an existing name\'s tokens to its new nodeId', () => {
    const wiped = joinerOf('b:1', '', id('b again'));
    const moving = next(layout, calm(layout, { joins: [wiped], live: new Set([id('a:1'), id('c:1'), id('d:1'), wiped.nodeId]) }));
    expect(memberById(moving, wiped.nodeId)).toMatchObject({ state: 'joining', tokens: memberById(layout, id('b:1'))?.tokens });
    expect(memberById(moving, id('b:1'))?.state).toBe('leaving');
    const replaced = (list: readonly NodeId[]): NodeId[] => list.map((nodeId) => (nodeId === id('b:1') ? wiped.nodeId : nodeId));
    for (const sets of allReplicaSets(moving)) expect(sets.new).toEqual(replaced(sets.old));
  });

  test('takes one of two joiners with the same name, the first that is up', () => {
    const [first, second] = [joinerOf('e:1', '', id('1')), joinerOf('e:1', '', id('2'))];
    const moving = next(layout, calm(layout, { joins: [first, second], live: up(layout, second.nodeId) }));
    expect(ids(moving)).toContain(second.nodeId);
    const both = next(layout, calm(layout, { joins: [first, second], live: up(layout, first.nodeId, second.nodeId) }));
    expect(both.members.filter((m) => m.state === 'joining').map((m) => m.nodeId)).toEqual([first.nodeId]);
  });
});

describe('a moving layout', () => {
  const layout = founded(['a:1', 'b:1', 'c:1', 'd:1']);
  const moving = next(layout, calm(layout, { joins: [joinerOf('e:1')], leaves: new Set([id('a:1')]), live: up(layout, id('e:1')) }));
  const after = ids(moving).filter((nodeId) => nodeId !== id('a:1'));

  test('waits until a majority of new has caught up on every moved arc', () => {
    expect(nextLayout(moving, calm(moving, { layoutAgeMs: 60_000 }), OPTIONS)).toBeNull();
    expect(moveProgress(moving, calm(moving, { caught: caughtBy(moving, [after[0] as NodeId]) }))).toBe('waiting');
    const almost = caughtBy(moving, after);
    const lastMoved = allReplicaSets(moving).findLast((sets) => sets.isMoving);
    for (const [nodeId, ends] of almost) almost.set(nodeId, new Set([...ends].filter((end) => end !== lastMoved?.end)));
    expect(nextLayout(moving, calm(moving, { caught: almost, caughtForMs: 60_000 }), OPTIONS)).toBeNull();
  });

  test('ends at once when every live member of new has caught up', () => {
    const stable = next(moving, calm(moving, { caught: caughtBy(moving, after) }));
    expect(stable).toMatchObject({ epoch: 3, phase: 'stable' });
    expect(ids(stable)).toEqual(after);
    expect(stable.members.every((m) => m.state === 'member')).toBe(true);
    for (const sets of allReplicaSets(moving)) expect(replicaSets(stable, sets.end).old).toEqual(sets.new);
    const withoutOne = calm(moving, { caught: caughtBy(moving, after.slice(1)), live: new Set(ids(moving).filter((n) => n !== after[0])) });
    expect(next(moving, withoutOne).phase).toBe('stable');
  });

  test('waits a short time for live stragglers', () => {
    const enough = calm(moving, { caught: caughtBy(moving, after.slice(1)), caughtForMs: 2_999 });
    expect(moveProgress(moving, enough)).toBe('enough');
    expect(nextLayout(moving, enough, OPTIONS)).toBeNull();
    expect(next(moving, { ...enough, caughtForMs: 3_000 }).phase).toBe('stable');
  });

  test('does not end before each joiner has shown it: a late request may come from a node that is gone', () => {
    const seen = new Map<NodeId, Epoch>(ids(moving).map((nodeId) => [nodeId, nodeId === id('e:1') ? 0 : moving.epoch]));
    const others = after.filter((nodeId) => nodeId !== id('e:1'));
    const situation = calm(moving, { seen, live: new Set(others), caught: caughtBy(moving, others), caughtForMs: 60_000 });
    expect(nextLayout(moving, situation, OPTIONS)).toBeNull();
    expect(ids(next(moving, { ...situation, layoutAgeMs: 10_000 }))).not.toContain(id('e:1'));
  });

  test('takes nothing new before it ends', () => {
    const stable = next(moving, calm(moving, { caught: caughtBy(moving, after), joins: [joinerOf('f:1')], live: up(moving, id('f:1')) }));
    expect(ids(stable)).not.toContain(id('f:1'));
  });

  test('is given up as a whole after ten seconds when the joiner is down', () => {
    const live = new Set(ids(layout));
    expect(nextLayout(moving, calm(moving, { live, layoutAgeMs: 9_999 }), OPTIONS)).toBeNull();
    const back = next(moving, calm(moving, { live, layoutAgeMs: 10_000 }));
    expect(back).toMatchObject({ epoch: 3, phase: 'stable', voters: layout.voters });
    expect(ids(back)).toEqual(ids(layout));
    for (const sets of allReplicaSets(moving)) expect(replicaSets(back, sets.end).old).toEqual(sets.old);
  });

  test('is given up when a moved arc has no live majority of old or of new', () => {
    const leaving = next(layout, calm(layout, { leaves: new Set([id('a:1')]) }));
    expect(nextLayout(leaving, calm(leaving, { layoutAgeMs: 60_000 }), OPTIONS)).toBeNull();
    const live = new Set([id('c:1'), id('d:1')]);
    expect(next(leaving, calm(leaving, { live, layoutAgeMs: 10_000 })).members).toHaveLength(4);
  });

  test('hands the chain only to voters of which a majority is up and has followed', () => {
    const seen = new Map<NodeId, Epoch>(ids(moving).map((nodeId) => [nodeId, moving.epoch - 1]));
    const situation = calm(moving, { caught: caughtBy(moving, after), seen });
    expect(nextLayout(moving, situation, OPTIONS)).toBeNull();
    for (const nodeId of after.slice(0, 3)) seen.set(nodeId, moving.epoch);
    expect(next(moving, situation).phase).toBe('stable');
  });
});

describe('voters', () => {
  test('are one for two members, three for three to six, five from seven up, and stay', () => {
    let layout = founded(['n0:1']);
    const counts: number[] = [layout.voters.length];
    for (let i = 1; i < 8; i++) {
      const before = layout.voters;
      layout = moved(layout, { joins: [joinerOf(`n${i}:1`)] });
      counts.push(layout.voters.length);
      expect(layout.voters).toEqual(expect.arrayContaining([...before]));
      expect(layout.voters).toEqual([...layout.voters].sort());
    }
    expect(counts).toEqual([1, 1, 3, 3, 3, 3, 5, 5]);
  });

  test('a voter that leaves or is down is replaced', () => {
    const layout = founded(['a:1', 'b:1', 'c:1', 'd:1']);
    const [leaver, other] = layout.voters as [NodeId, NodeId, NodeId];
    expect(moved(layout, { leaves: [leaver] }).voters).not.toContain(leaver);
    const wide = moved(layout, { joins: [joinerOf('e:1')] });
    const moving = next(wide, calm(wide, { joins: [joinerOf('f:1')], live: up(wide, id('f:1')) }));
    const live = new Set(ids(moving).filter((nodeId) => nodeId !== other));
    expect(next(moving, calm(moving, { live, caught: caughtBy(moving, ids(moving)) })).voters).not.toContain(other);
  });
});

describe('the number of copies', () => {
  test('follows min(n, members): 1, 2, 3, 2, 1', () => {
    let layout = founded(['a:1']);
    const copies = (): number[] => [...new Set(layout.arcs.map((arc) => arc.old.length))];
    expect(copies()).toEqual([1]);
    layout = moved(layout, { joins: [joinerOf('b:1')] });
    expect(copies()).toEqual([2]);
    layout = moved(layout, { joins: [joinerOf('c:1')] });
    expect(copies()).toEqual([3]);
    layout = moved(layout, { leaves: [id('a:1')] });
    expect(copies()).toEqual([2]);
    const moving = next(layout, calm(layout, { leaves: new Set([id('b:1')]) }));
    for (const sets of allReplicaSets(moving)) expect(sets.new).toEqual([id('c:1')]);
    layout = next(moving, calm(moving, { caught: caughtBy(moving, [id('c:1')]) }));
    expect(copies()).toEqual([1]);
    expect(layout.epoch).toBe(9);
  });

  test('needs every one of two members for the step to one', () => {
    const layout = founded(['a:1', 'b:1']);
    expect(nextLayout(layout, calm(layout, { leaves: new Set([id('a:1')]), live: new Set([id('b:1')]) }), OPTIONS)).toBeNull();
  });
});

describe('since', () => {
  const layout = founded(['a:1', 'b:1', 'c:1', 'd:1']);
  const e = id('e:1');
  const start = (seen: ReadonlyMap<NodeId, Epoch>): Layout => next(layout, calm(layout, { joins: [joinerOf('e:1')], live: up(layout, e), seen }));

  test('is the moving epoch for a member that comes, and nothing for those that stay', () => {
    const moving = start(new Map(ids(layout).map((nodeId) => [nodeId, 1])));
    for (const arc of moving.arcs) {
      for (const nodeId of new Set([...arc.old, ...arc.new])) {
        const wasThere = replicaSets(layout, arc.end).all.includes(nodeId);
        expect(arc.since.get(nodeId)).toBe(wasThere ? undefined : 2);
      }
    }
  });

  test('counts from the moving epoch, also in the stable layout, until the member reported it', () => {
    // The leave of a gives each of the others arcs that it didn't hold; b doesn't report.
    const b = id('b:1');
    const seenBut = (of: Layout): Map<NodeId, Epoch> => new Map(ids(of).map((nodeId) => [nodeId, nodeId === b ? 1 : of.epoch]));
    const moving = next(layout, calm(layout, { leaves: new Set([id('a:1')]) }));
    const caught = caughtBy(moving, ids(moving));
    const away = next(moving, calm(moving, { caught, seen: seenBut(moving) }));
    expect(away.arcs.some((arc) => arc.since.get(b) === 2)).toBe(true);
    for (const arc of away.arcs) expect(arc.since).toEqual(new Map(replicaSets(layout, arc.end).all.includes(b) ? [] : [[b, 2]]));
    const reported = next(moving, calm(moving, { caught }));
    expect(reported.arcs.every((arc) => arc.since.size === 0)).toBe(true);
  });

  test('starts anew for a member that was out in between', () => {
    // An aborted move ends the joiner's run; the next one begins another.
    const moving = start(new Map());
    const back = next(moving, calm(moving, { live: new Set(ids(layout)), layoutAgeMs: 10_000, seen: new Map() }));
    const again = next(back, calm(back, { joins: [joinerOf('e:1')], live: up(back, e), seen: new Map([[e, 3]]) }));
    const sinces = new Set(again.arcs.flatMap((arc) => (arc.since.has(e) ? [arc.since.get(e)] : [])));
    expect(sinces).toEqual(new Set([4]));
  });

  test('splits arcs while it is needed and lets them shrink back', () => {
    const b = id('b:1');
    const moving = next(layout, calm(layout, { leaves: new Set([id('a:1')]) }));
    const seen = new Map<NodeId, Epoch>(ids(moving).map((nodeId) => [nodeId, nodeId === b ? 1 : 2]));
    const away = next(moving, calm(moving, { caught: caughtBy(moving, ids(moving)), seen }));
    // Three members, three copies: but for `since` and the order of the lists the ring would be one arc.
    const others = next(moving, calm(moving, { caught: caughtBy(moving, ids(moving)) }));
    expect(away.arcs.length).toBeGreaterThan(others.arcs.length);
    const later = moved(moved(away, { joins: [joinerOf('e:1')] }), { leaves: [e] });
    expect(later.arcs.map((arc) => arc.end)).toEqual(others.arcs.map((arc) => arc.end));
  });
});
