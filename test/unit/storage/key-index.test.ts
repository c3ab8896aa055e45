import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { ZERO_BALLOT } from '../../../src/domain/ballot.ts';
import type { ObjectKey } from '../../../src/domain/ring-position.ts';
import { bucketsOf, BUCKET_COUNT, wholeBucketsOf } from '../../../src/storage/bucket-table.ts';
import { BODY_IN_FILE } from '../../../src/storage/log-format.ts';
import { KeyIndex, NOTHING_ACCEPTED, type AcceptedEntry, type IndexEntry } from '../../../src/storage/key-index.ts';
import { arc, ballot, bodyId, keyAt } from './store-fixture.ts';

const WHOLE = { first: 0, last: 2 ** 48 - 1 };

/** Few buckets and few heads, so that keys collide in all their parts. */
const someKey = fc.tuple(fc.nat(2), fc.nat(2), fc.nat(3)).map(([bucket, head, tail]) => keyAt(bucket * 2 ** 32 + head, tail));
const someEntry: fc.Arbitrary<AcceptedEntry> = fc.record({
  accepted: fc.tuple(fc.nat(2 ** 32 - 1), fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }), fc.nat(9)).map(([epoch, hlc, n]) => ballot(hlc, epoch, n)),
  version: fc.nat(9).map((n) => ballot(n + 1, 1, n)),
  kind: fc.constantFrom('object' as const, 'tombstone' as const),
  recordAt: fc.integer({ min: 1, max: 2 ** 48 - 1 }),
  recordBytes: fc.nat(2 ** 32 - 1),
  bodyAt: fc.oneof(fc.integer({ min: 0, max: 2 ** 48 - 1 }), fc.constant(BODY_IN_FILE)),
  bodyId: fc.option(fc.nat(1000).map(bodyId)),
  size: fc.integer({ min: 0, max: 2 ** 48 - 1 }),
});
const someChange = fc.oneof(
  fc.record({ kind: fc.constant('promise' as const), key: someKey, hlc: fc.integer({ min: 1, max: 2 ** 50 }) }),
  fc.record({ kind: fc.constant('accept' as const), key: someKey, entry: someEntry }),
  fc.record({ kind: fc.constant('body' as const), key: someKey, bodyAt: fc.constantFrom(0, 1, BODY_IN_FILE) }),
  fc.record({ kind: fc.constant('remove' as const), key: someKey }),
);

function walked(index: KeyIndex, after: ObjectKey | null): (readonly [ObjectKey, IndexEntry])[] {
  const found: (readonly [ObjectKey, IndexEntry])[] = [];
  index.walk(WHOLE, after, (key, entry) => {
    found.push([key, entry]);
    return 'go-on';
  });
  return found;
}

describe('the key index', () => {
  test('agrees with a map of objects after any changes', () => {
    fc.assert(fc.property(fc.array(someChange, { maxLength: 60 }), (changes) => {
      const index = new KeyIndex();
      const model = new Map<ObjectKey, IndexEntry>();
      for (const change of changes) {
        const before = model.get(change.key) ?? { ...NOTHING_ACCEPTED, promised: ZERO_BALLOT };
        if (change.kind === 'promise') {
          index.setPromised(change.key, ballot(change.hlc));
          model.set(change.key, { ...before, promised: ballot(change.hlc) });
        } else if (change.kind === 'accept') {
          index.setAccepted(change.key, change.entry);
          model.set(change.key, { ...change.entry, promised: change.entry.accepted });
        } else if (change.kind === 'body') {
          index.setBodyAt(change.key, change.bodyAt);
          if (model.has(change.key)) model.set(change.key, { ...before, bodyAt: change.bodyAt });
        } else {
          index.remove(change.key);
          model.delete(change.key);
        }
      }
      const sorted = [...model].sort(([a], [b]) => (a < b ? -1 : 1));
      expect(walked(index, null)).toEqual(sorted);
      for (const [key, entry] of model) expect(index.find(key)).toEqual(entry);
      const [middle] = sorted[sorted.length >> 1] ?? [];
      if (middle !== undefined) expect(walked(index, middle)).toEqual(sorted.filter(([key]) => key > middle));
      const objects = sorted.filter(([, entry]) => entry.kind === 'object');
      expect([index.registers, index.objects]).toEqual([sorted.length, objects.length]);
      expect(index.bodyBytes).toBe(objects.reduce((sum, [, entry]) => sum + entry.size, 0));
      expect(index.fileBytes).toBe(objects.reduce((sum, [, entry]) => sum + (entry.bodyAt === BODY_IN_FILE ? entry.size : 0), 0));
    }));
  });

  test('takes at most 105 bytes a key in buckets of 15 and more', () => {
    const index = new KeyIndex();
    for (let n = 0; n < 15_000; n++) index.setPromised(keyAt((n % 1000) * 2 ** 32 + n, n), ballot(1));
    expect(index.allocatedBytes / 15_000).toBeLessThan(105);
  });

  test('gives the memory of empty buckets back', () => {
    const index = new KeyIndex();
    for (let n = 0; n < 100; n++) index.setPromised(keyAt(n), ballot(1));
    for (let n = 0; n < 100; n++) index.remove(keyAt(n));
    expect([index.allocatedBytes, index.registers]).toEqual([0, 0]);
  });
});

describe('buckets of arcs', () => {
  const positionsIn = (from: number, to: number): number[] =>
    Array.from({ length: 256 }, (_, x) => x).filter((x) => (from < to ? x > from && x <= to : x > from || x <= to));

  test('agree with counting positions one by one, at M = 8', () => {
    fc.assert(fc.property(fc.array(fc.tuple(fc.nat(255), fc.nat(255)), { minLength: 1, maxLength: 4 }), (pairs) => {
      const arcs = pairs.map(([from, to]) => arc(from, to));
      const inside = new Set(pairs.flatMap(([from, to]) => positionsIn(from, to)));
      const whole = wholeBucketsOf(arcs, 8);
      const isWhole = (bucket: number): boolean => whole.some(({ first, last }) => bucket >= first && bucket <= last);
      const touches = arcs.flatMap((one) => bucketsOf(one, 8));
      const isTouched = (bucket: number): boolean => touches.some(({ first, last }) => bucket >= first && bucket <= last);
      for (let position = 0; position < 256; position++) {
        expect(isWhole(position * 256)).toBe(inside.has(position));
        expect(isTouched(position * 256)).toBe(inside.has(position));
      }
    }));
  });

  test('a bucket is whole only with all its positions, in one arc or in neighbours', () => {
    const end = 3 * 2 ** 32 - 1;
    expect(wholeBucketsOf([arc(2 ** 32 - 1, end)], 48)).toEqual([{ first: 1, last: 2 }]);
    expect(wholeBucketsOf([arc(2 ** 32, end)], 48)).toEqual([{ first: 2, last: 2 }]);
    expect(wholeBucketsOf([arc(2 ** 32 - 1, end - 1)], 48)).toEqual([{ first: 1, last: 1 }]);
    expect(wholeBucketsOf([arc(2 ** 32 + 9, end), arc(2 ** 32 - 1, 2 ** 32 + 9)], 48)).toEqual([{ first: 1, last: 2 }]);
    expect(wholeBucketsOf([arc(7, 7)], 48)).toEqual([{ first: 0, last: BUCKET_COUNT - 1 }]);
  });
});
