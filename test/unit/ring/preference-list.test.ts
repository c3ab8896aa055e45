import { describe, expect, test } from '@jest/globals';
import { preferenceList } from '../../../src/ring/preference-list.ts';
import { tokenRing } from '../../../src/ring/token-ring.ts';
import { memberAt, nodeIdOf, position } from './ring-fixture.ts';

const list = (members: Parameters<typeof tokenRing>[0], at: number, count: number): string[] =>
  preferenceList(tokenRing(members), position(at), count).map((id) => String.fromCharCode(parseInt(id.slice(0, 2), 16)));

describe('preference list', () => {
  const plain = [memberAt('a', [10]), memberAt('b', [20]), memberAt('c', [30]), memberAt('d', [40])];

  test('is the next distinct nodes clockwise, over 0 too', () => {
    expect(list(plain, 15, 3)).toEqual(['b', 'c', 'd']);
    expect(list(plain, 35, 3)).toEqual(['d', 'a', 'b']);
    expect(list(plain, 200, 2)).toEqual(['a', 'b']);
  });

  test('a position on a token belongs to that token', () => {
    expect(list(plain, 20, 1)).toEqual(['b']);
    expect(list(plain, 21, 1)).toEqual(['c']);
  });

  test('counts a node with many tokens once', () => {
    expect(list([memberAt('a', [10, 20, 30]), memberAt('b', [40, 50]), memberAt('c', [60])], 5, 3)).toEqual(['a', 'b', 'c']);
  });

  test('has at most as many nodes as there are', () => {
    expect(list([memberAt('a', [10, 30]), memberAt('b', [20])], 15, 3)).toEqual(['b', 'a']);
    expect(list([memberAt('a', [10])], 15, 3)).toEqual(['a']);
    expect(list([], 15, 3)).toEqual([]);
  });

  test('orders nodes on the same position by nodeId', () => {
    const twins = [memberAt('b', [20]), memberAt('a', [20]), memberAt('c', [30])];
    expect(list(twins, 20, 3)).toEqual(['a', 'b', 'c']);
    expect(list([...twins].reverse(), 20, 3)).toEqual(['a', 'b', 'c']);
  });

  const zoned = [memberAt('a', [10], 'x'), memberAt('b', [20], 'x'), memberAt('c', [30], 'y'), memberAt('d', [40], 'y'), memberAt('e', [50], 'z')];

  test('prefers a node of each zone while there are unused zones', () => {
    expect(list(zoned, 5, 3)).toEqual(['a', 'c', 'e']);
    expect(list(zoned, 15, 3)).toEqual(['b', 'c', 'e']);
    expect(list(zoned, 45, 2)).toEqual(['e', 'a']);
  });

  test('takes the skipped nodes in walking order once every zone is used', () => {
    expect(list(zoned, 5, 4)).toEqual(['a', 'c', 'e', 'b']);
    expect(list(zoned, 5, 5)).toEqual(['a', 'c', 'e', 'b', 'd']);
    expect(list(zoned.slice(0, 3), 5, 3)).toEqual(['a', 'c', 'b']);
  });

  test('names nodes by id', () => {
    expect(preferenceList(tokenRing(plain), position(0), 1)).toEqual([nodeIdOf('a')]);
  });
});
