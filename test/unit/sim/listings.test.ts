import { describe, expect, test } from '@jest/globals';
import { checkListing, checkOrder, type Listing } from '../../../src/sim/checkers/listings.ts';
import type { ObjectEntry } from '../../../src/sim/history.ts';

const listing = (names: readonly string[], rest: Partial<Listing> = {}): Listing =>
  ({ client: 'c', prefix: '', delimiter: null, startAt: 100, endAt: 200, names, commonPrefixes: [], ...rest });

const put = (invokeAt: number, returnAt: number | null): ObjectEntry =>
  ({ client: 'c', key: 'a', op: { kind: 'put', tag: 't', condition: { kind: 'none' } }, invokeAt, returnAt, result: returnAt === null ? null : { kind: 'stored', isCreated: true } });
const removed = (invokeAt: number, returnAt: number | null): ObjectEntry =>
  ({ client: 'c', key: 'a', op: { kind: 'delete', condition: { kind: 'none' } }, invokeAt, returnAt, result: returnAt === null ? null : { kind: 'deleted', wasPresent: true } });

const withA = (entries: readonly ObjectEntry[]): number => checkListing(listing(['a']), entries, ['a']).length;
const withoutA = (entries: readonly ObjectEntry[]): number => checkListing(listing([]), entries, ['a']).length;

describe('a listing held against the history', () => {
  test('has to show a name that was there all the time', () => {
    expect(withoutA([put(10, 20)])).toBe(1);
    expect(withA([put(10, 20)])).toBe(0);
    expect(withoutA([removed(1, 5), put(10, 20), put(150, 160)])).toBe(1);
  });

  test('must not show a name that never was there, or was gone all the time', () => {
    expect(withA([])).toBe(1);
    expect(withA([put(10, 20), removed(30, 40)])).toBe(1);
    expect(withoutA([put(10, 20), removed(30, 40)])).toBe(0);
  });

  test.each<readonly [string, readonly ObjectEntry[]]>([
    ['written while it was read', [put(150, 160)]],
    ['deleted while it was read', [put(10, 20), removed(190, 300)]],
    ['of a put whose outcome is unknown', [put(10, null)]],
    ['of a delete that may still happen', [put(10, 20), removed(15, null)]],
    ['of a put and a delete at the same time', [put(10, 50), removed(20, 40)]],
  ])('may show a name or not: %s', (_title, entries) => {
    expect(withA(entries)).toBe(0);
    expect(withoutA(entries)).toBe(0);
  });

  test('has to show the common prefix of what was there, instead of its names', () => {
    const entries = [{ ...put(10, 20), key: 'd/a' }];
    const check = (names: readonly string[], commonPrefixes: readonly string[]): number =>
      checkListing(listing(names, { delimiter: '/', commonPrefixes }), entries, ['d/a']).length;
    expect(check([], ['d/'])).toBe(0);
    expect(check([], [])).toBe(1);
    expect(check(['d/a'], ['d/'])).toBe(1);
  });

  test('is in order, without repetition, under its prefix', () => {
    expect(checkOrder(listing(['a', 'b', '～', '\u{10400}']))).toEqual([]);
    expect(checkOrder(listing(['\u{10400}', '～']))).toHaveLength(1);
    expect(checkOrder(listing(['a', 'a']))).toHaveLength(1);
    expect(checkOrder(listing(['x'], { prefix: 'y' }))).toHaveLength(1);
  });
});
