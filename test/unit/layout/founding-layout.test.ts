import { describe, expect, test } from '@jest/globals';
import type { ClusterId } from '../../../src/domain/ids.ts';
import { foundingLayout } from '../../../src/layout/founding-layout.ts';
import { nodeKey } from '../../../src/ring/hasher.ts';
import { joinerOf, nodeIdOf } from '../ring/ring-fixture.ts';

const founding = (names: readonly string[], tokensPerNode = 16) => foundingLayout({
  clusterId: nodeIdOf('cluster') as unknown as ClusterId, keyBits: 16, replicas: 3, tokensPerNode, candidatesPerToken: 8,
  members: names.map((name) => joinerOf(name)),
});

describe('founding layout', () => {
  test('of one node is one arc, epoch 1, stable', () => {
    const layout = founding(['localhost:7400']);
    expect(layout).toMatchObject({ epoch: 1, phase: 'stable', replicas: 3 });
    expect(layout.arcs).toHaveLength(1);
    expect(layout.arcs[0]).toMatchObject({ old: [layout.members[0]?.nodeId], new: [layout.members[0]?.nodeId] });
    expect(layout.voters).toEqual([layout.members[0]?.nodeId]);
  });

  test('names all initial nodes, so the first write has all its copies', () => {
    const layout = founding(['a:1', 'b:1', 'c:1', 'd:1']);
    expect(layout.members.map((m) => m.state)).toEqual(['member', 'member', 'member', 'member']);
    expect(layout.voters).toHaveLength(3);
    for (const arc of layout.arcs) {
      expect(arc.old).toHaveLength(3);
      expect(arc.new).toEqual(arc.old);
    }
    expect(layout.members.map((m) => m.nodeId)).toEqual(layout.members.map((m) => m.nodeId).sort());
  });

  test('with one token each is the seed\'s ring', () => {
    const layout = founding(['localhost:1', 'localhost:2', 'localhost:3', 'localhost:4'], 1);
    const keys = [1, 2, 3, 4].map((port) => nodeKey({ host: 'localhost', port }, 16)).sort((a, b) => a - b);
    expect(layout.arcs.map((arc) => arc.end)).toEqual(keys);
  });
});
