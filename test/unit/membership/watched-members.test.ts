import { expect, test } from '@jest/globals';
import { watchedMembers } from '../../../src/membership/watched-members.ts';
import { layoutOf, memberAt, nobody, nodeIdOf } from '../ring/ring-fixture.ts';

const names = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l', 'm', 'n'];
const ring = layoutOf(names.map((name, i) => memberAt(name, [10 * (i + 1)])));
const watched = (self: string, down: readonly string[]): string =>
  watchedMembers(ring, nodeIdOf(self), down.length === 0 ? nobody : new Set(down.map(nodeIdOf)), 3).map(({ name }) => name.replace(':7000', '')).join('');

test('a node watches the next three on the ring, round its end', () => {
  expect(watched('b', [])).toBe('cde');
  expect(watched('m', [])).toBe('nab');
});

test('those between that cannot be reached are watched too, and do not count', () => {
  expect(watched('b', ['c', 'e'])).toBe('cdefg');
});

test('of those that cannot be reached at most eight are watched', () => {
  expect(watched('a', names.slice(1))).toBe('bcdefghi');
});

test('who is not a member watches nobody', () => {
  expect(watchedMembers(ring, nodeIdOf('z'), nobody, 3)).toEqual([]);
});
