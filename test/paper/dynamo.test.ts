/** The sentences of [Dynamo] "Replication" and "Partitioning Algorithm" that placement follows. */
import { describe, expect, test } from '@jest/globals';
import { arcsHeldBy } from '../../src/ring/held-arcs.ts';
import { replicaSets } from '../../src/ring/placement.ts';
import { layoutOf, memberAt, nodeIdOf, position } from '../unit/ring/ring-fixture.ts';

/** The figure's ring of the nodes A to G, N = 3. */
const labels = ['A', 'B', 'C', 'D', 'E', 'F', 'G'];
const ring = layoutOf(labels.map((label, i) => memberAt(label, [10 + 30 * i])), { replicas: 3 });
const names = (list: readonly string[]): string => list.map((id) => labels.find((label) => nodeIdOf(label) === id)).join('');

describe('[Dynamo] "Replication"', () => {
  test('node B replicates the key k, in (A, B], at nodes C and D in addition to storing it locally', () => {
    expect(names(replicaSets(ring, position(25)).old)).toBe('BCD');
  });

  test('node D stores the keys that fall in the ranges (A, B], (B, C] and (C, D]', () => {
    expect(arcsHeldBy(ring, nodeIdOf('D'))).toEqual([{ from: 10, to: 100 }]);
  });

  test('the preference list skips positions in the ring so that it contains only distinct physical nodes', () => {
    const virtual = layoutOf([memberAt('A', [10, 40]), memberAt('B', [20, 60]), memberAt('C', [80])], { replicas: 3 });
    expect(names(replicaSets(virtual, position(5)).old)).toBe('ABC');
    expect(names(replicaSets(virtual, position(30)).old)).toBe('ABC');
    expect(names(replicaSets(virtual, position(50)).old)).toBe('BCA');
  });
});

describe('[Dynamo] "Partitioning Algorithm"', () => {
  test('departure or arrival of a node only affects its immediate neighbours: n ranges before it', () => {
    const after = layoutOf(labels.filter((label) => label !== 'E').map((label) => memberAt(label, [10 + 30 * labels.indexOf(label)])), { replicas: 3 });
    for (let at = 0; at < 256; at++) {
      const isChanged = names(replicaSets(ring, position(at)).old) !== names(replicaSets(after, position(at)).old);
      expect(isChanged).toBe(at > 40 && at <= 130);
    }
  });

  test('a node is assigned to multiple points in the ring, so its load goes to several others when it fails', () => {
    const virtual = layoutOf([memberAt('A', [10, 110]), memberAt('B', [40]), memberAt('C', [140])], { replicas: 2 });
    const heirs = new Set([5, 100].map((at) => names(replicaSets(virtual, position(at)).old.slice(1))));
    expect(heirs).toEqual(new Set(['B', 'C']));
  });
});
