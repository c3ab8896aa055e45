/** The examples of [Chord], word by word, on rings of their size. */
import { describe, expect, test } from '@jest/globals';
import type { Layout } from '../../src/domain/layout.ts';
import { NO_STRAIN } from '../../src/ring/cluster-view.ts';
import { ownerOf } from '../../src/ring/owner.ts';
import { pointers, successorAt } from '../../src/ring/pointers.ts';
import { layoutOf, memberAt, nobody, nodeIdOf, position } from '../unit/ring/ring-fixture.ts';

const ringOf = (keyBits: number, keys: readonly number[], replicas = 1): Layout =>
  layoutOf(keys.map((key) => memberAt(`N${String(key).padStart(2, '0')}`, [key])), { keyBits, replicas });

function owner(layout: Layout, key: number, down: readonly string[] = []): string {
  const id = ownerOf({ self: nodeIdOf('N01'), layout, unreachable: new Set(down.map(nodeIdOf)), strain: NO_STRAIN }, position(key));
  return layout.members.find((m) => m.nodeId === id)?.name.slice(0, 3) ?? 'none';
}

describe('"Consistent Hashing": circle with m = 3 and the nodes 0, 1, 3', () => {
  const ring = ringOf(3, [0, 1, 3]);

  test('the successor of identifier 1 is node 1, of 2 is node 3, of 6 is node 0', () => {
    expect(owner(ring, 1)).toBe('N01');
    expect(owner(ring, 2)).toBe('N03');
    expect(owner(ring, 6)).toBe('N00');
  });

  test('if a node joined with identifier 7, it would capture the key 6 from node 0', () => {
    expect(owner(ringOf(3, [0, 1, 3, 7]), 6)).toBe('N07');
    expect(owner(ringOf(3, [0, 1, 3, 7]), 0)).toBe('N00');
  });
});

describe('"The Base Chord Protocol": circle with m = 6, ten nodes and five keys', () => {
  const nodes = [1, 8, 14, 21, 32, 38, 42, 48, 51, 56];
  const ring = ringOf(6, nodes);

  test('K10 is at N14, K24 and K30 at N32, K38 at N38, K54 at N56', () => {
    expect([10, 24, 30, 38, 54].map((key) => owner(ring, key))).toEqual(['N14', 'N32', 'N32', 'N38', 'N56']);
  });

  test('a node that joins with identifier 26 captures K24 from N32, and nothing else', () => {
    const joined = ringOf(6, [...nodes, 26]);
    for (let key = 0; key < 64; key++) expect(owner(joined, key)).toBe(key > 21 && key <= 26 ? 'N26' : owner(ring, key));
  });

  test('when a node leaves, its keys are reassigned to its successor', () => {
    const left = ringOf(6, nodes.filter((key) => key !== 32));
    for (let key = 0; key < 64; key++) expect(owner(left, key)).toBe(key > 21 && key <= 32 ? 'N38' : owner(ring, key));
  });

  test('find_successor gives the node itself for its own identifier and wraps past the last node', () => {
    expect(successorAt(ring, position(38), nobody)?.name).toBe('N38:7000');
    expect(successorAt(ring, position(54), nobody)?.name).toBe('N56:7000');
    expect(successorAt(ring, position(57), nobody)?.name).toBe('N01:7000');
  });

  test('"Impact of Node Joins on Lookups": successor and predecessor are each other\'s inverse', () => {
    for (const member of ring.members) {
      const next = pointers(ring, member.nodeId, nobody)?.successor;
      expect(next && pointers(ring, next.nodeId, nobody)?.predecessor.nodeId).toBe(member.nodeId);
    }
  });

  test('"Failure and Replication": if the successor does not respond, the next in the successor list takes its place', () => {
    const down = new Set(['N14', 'N21'].map(nodeIdOf));
    expect(pointers(ring, nodeIdOf('N08'), nobody)?.successors.map((m) => m.name.slice(0, 3))).toEqual(['N14', 'N21', 'N32', 'N38']);
    expect(pointers(ring, nodeIdOf('N08'), down)?.successor.name).toBe('N32:7000');
    expect(owner(ringOf(6, nodes, 3), 10, ['N14'])).toBe('N21');
    expect(owner(ringOf(6, nodes, 3), 10, ['N14', 'N21'])).toBe('N32');
  });
});
