import { describe, expect, test } from '@jest/globals';
import { pointers, successorAt } from '../../../src/ring/pointers.ts';
import { layoutOf, memberAt, nobody, nodeIdOf, position } from './ring-fixture.ts';

const labels = (members: readonly { readonly name: string }[]): string => members.map((m) => m.name.replace(':7000', '')).join(' ');

describe('pointers', () => {
  const ring = layoutOf([memberAt('a', [50, 1]), memberAt('b', [100, 2]), memberAt('c', [150]), memberAt('d', [200]), memberAt('e', [10]), memberAt('f', [250])]);

  test('follow token 0 clockwise and stop at four successors', () => {
    const found = pointers(ring, nodeIdOf('c'), nobody);
    expect(found?.predecessor.name).toBe('b:7000');
    expect(found?.successor.name).toBe('d:7000');
    expect(labels(found?.successors ?? [])).toBe('d f e a');
  });

  test('wrap over 0', () => {
    const found = pointers(ring, nodeIdOf('e'), nobody);
    expect(found?.predecessor.name).toBe('f:7000');
    expect(found?.successor.name).toBe('a:7000');
  });

  test('skip nodes that are down', () => {
    const found = pointers(ring, nodeIdOf('c'), new Set([nodeIdOf('b'), nodeIdOf('d')]));
    expect(found?.predecessor.name).toBe('a:7000');
    expect(labels(found?.successors ?? [])).toBe('f e a');
  });

  test('a node that is alone is its own successor and predecessor', () => {
    const alone = pointers(layoutOf([memberAt('a', [7])]), nodeIdOf('a'), nobody);
    const last = pointers(ring, nodeIdOf('a'), new Set(ring.members.map((m) => m.nodeId).filter((id) => id !== nodeIdOf('a'))));
    for (const found of [alone, last]) {
      expect(found?.predecessor.name).toBe('a:7000');
      expect(labels(found?.successors ?? [])).toBe('a');
    }
  });

  test('show a decided join and a decided leave before the data has moved', () => {
    const moving = layoutOf([
      memberAt('a', [50]), { ...memberAt('b', [100]), state: 'joining' }, { ...memberAt('c', [150]), state: 'leaving' }, memberAt('d', [200]),
    ]);
    expect(labels(pointers(moving, nodeIdOf('a'), nobody)?.successors ?? [])).toBe('b d');
    expect(pointers(moving, nodeIdOf('c'), nobody)?.successor.name).toBe('d:7000');
    expect(pointers(moving, nodeIdOf('c'), nobody)?.predecessor.name).toBe('b:7000');
  });

  test('nodes on one position follow each other by nodeId', () => {
    const twins = layoutOf([memberAt('a', [50]), memberAt('b', [50]), memberAt('c', [50])]);
    expect(pointers(twins, nodeIdOf('a'), nobody)?.successor.name).toBe('b:7000');
    expect(pointers(twins, nodeIdOf('c'), nobody)?.successor.name).toBe('a:7000');
    expect(pointers(twins, nodeIdOf('b'), nobody)?.predecessor.name).toBe('a:7000');
  });

  test('a node that is no member has none', () => {
    expect(pointers(ring, nodeIdOf('x'), nobody)).toBeNull();
  });

  test('successorAt is the first node at or after a position', () => {
    expect(successorAt(ring, position(100), nobody)?.name).toBe('b:7000');
    expect(successorAt(ring, position(101), nobody)?.name).toBe('c:7000');
    expect(successorAt(ring, position(251), nobody)?.name).toBe('e:7000');
    expect(successorAt(ring, position(251), new Set([nodeIdOf('e')]))?.name).toBe('a:7000');
    expect(successorAt(ring, position(0), new Set(ring.members.map((m) => m.nodeId)))).toBeNull();
  });
});
