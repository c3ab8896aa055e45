import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { equalBallots, ZERO_BALLOT, type Ballot } from '../../../src/domain/ballot.ts';
import { BODY_LIMITS } from '../../../src/domain/body-limits.ts';
import type { MonotonicMs } from '../../../src/domain/instant.ts';
import { isInArc, positionOfKey, ringSize, type ObjectKey, type RingArc } from '../../../src/domain/ring-position.ts';
import { addDigest, digestOf, DIGEST_WORDS, PAGE_BUCKETS, PAGE_COUNT } from '../../../src/storage/hash-tree.ts';
import { StoreState } from '../../../src/storage/store-state.ts';
import { arc, ballot, bodyId, keyAt, liveRecord, tombstone } from './store-fixture.ts';

const NOW = 0 as MonotonicMs;
const AT = { recordAt: 100, recordBytes: 10, bodyAt: 200 };

interface Held {
  readonly accepted: Ballot;
  readonly isObject: boolean;
}

/** Positions that share pages and buckets, and lie on both sides of their borders. */
const somePosition = (keyBits: number): fc.Arbitrary<number> => {
  const size = ringSize(keyBits);
  const inBucket = Math.max(1, size / 65_536);
  return fc.oneof(
    fc.nat(7), fc.integer({ min: size - 5, max: size - 1 }), fc.nat(size - 1),
    fc.tuple(fc.nat(3), fc.integer({ min: -2, max: 2 })).map(([bucket, off]) => Math.min(size - 1, Math.max(0, bucket * inBucket + off))),
  );
};
const someChange = (keyBits: number): fc.Arbitrary<{ key: ObjectKey; held: Held | null }> => fc.record({
  key: fc.tuple(somePosition(keyBits), fc.nat(2)).map(([position, tail]) => keyAt(position, tail, keyBits)),
  held: fc.option(fc.record({ accepted: fc.tuple(fc.integer({ min: 1, max: 4 }), fc.nat(3)).map(([hlc, n]) => ballot(hlc, 1, n + 1)), isObject: fc.boolean() }), { freq: 3 }),
});
const someCase = fc.constantFrom(8, 13, 16, 20, 48).chain((keyBits) => fc.record({
  keyBits: fc.constant(keyBits),
  changes: fc.array(someChange(keyBits), { maxLength: 40 }),
  asked: fc.tuple(somePosition(keyBits), somePosition(keyBits)).map(([from, to]) => arc(from, to)),
}));

function stateAfter(keyBits: number, changes: readonly { key: ObjectKey; held: Held | null }[]): { state: StoreState; model: Map<ObjectKey, Held> } {
  const state = new StoreState({ keyBits, stagedBodiesMax: 100, bodies: BODY_LIMITS });
  const model = new Map<ObjectKey, Held>();
  for (const { key, held } of changes) {
    if (held === null) {
      state.apply({ kind: 'release', keys: [key] }, AT, 0, NOW);
      model.delete(key);
    } else {
      const record = held.isObject ? liveRecord(held.accepted, bodyId(1), 5) : tombstone(held.accepted);
      state.apply({ kind: 'accept', key, name: `name ${key}`, ballot: held.accepted, bodyAt: 0, record }, AT, 0, NOW);
      model.set(key, held);
    }
    state.apply({ kind: 'promise', key: keyAt(3, 9, keyBits), name: 'promised only', ballot: ballot(9), staged: null }, AT, 0, NOW);
  }
  return { state, model };
}

function digestsOf(model: ReadonlyMap<ObjectKey, Held>, keyBits: number, { from, to }: RingArc, page: number | null): Uint32Array {
  const digests = new Uint32Array((page === null ? PAGE_COUNT : PAGE_BUCKETS) * DIGEST_WORDS);
  for (const [key, { accepted }] of model) {
    const [ofPage, bucket] = [parseInt(key.slice(0, 2), 16), parseInt(key.slice(2, 4), 16)];
    if (!isInArc(positionOfKey(key, keyBits), from, to) || (page !== null && page !== ofPage)) continue;
    addDigest(digestOf(key, accepted), 0, digests, page === null ? ofPage : bucket);
  }
  return digests;
}

describe('the hash tree', () => {
  test('after any changes has the digests of a tree that is built from what is held now, for any arc and any M', () => {
    fc.assert(fc.property(someCase, ({ keyBits, changes, asked }) => {
      const { state, model } = stateAfter(keyBits, changes);
      expect(state.digests([asked], null)).toEqual(digestsOf(model, keyBits, asked, null));
      for (const page of [0, 1, PAGE_COUNT - 1]) expect(state.digests([asked], page)).toEqual(digestsOf(model, keyBits, asked, page));
      const inside = [...model].filter(([key, { isObject }]) => isObject && isInArc(positionOfKey(key, keyBits), asked.from, asked.to));
      expect(state.objectsIn([asked])).toBe(inside.length);
    }));
  });

  test('tells two replicas apart exactly when they accepted different ballots somewhere', () => {
    const everything = arc(0, 0);
    fc.assert(fc.property(fc.array(someChange(16), { maxLength: 8 }), fc.array(someChange(16), { maxLength: 8 }), (one, other) => {
      const a = stateAfter(16, one);
      const b = stateAfter(16, other);
      const isAlike = a.model.size === b.model.size
        && [...a.model].every(([key, { accepted }]) => equalBallots(accepted, b.model.get(key)?.accepted ?? ZERO_BALLOT));
      expect(Buffer.from(a.state.digests([everything], null)).equals(Buffer.from(b.state.digests([everything], null)))).toBe(isAlike);
    }));
  });

  test('is empty for arcs that hold nothing, and the sum of two arcs is their union', () => {
    const { state } = stateAfter(48, [1, 5, 2 ** 40].map((position) => ({ key: keyAt(position), held: { accepted: ballot(7), isObject: true } })));
    expect(state.digests([arc(10, 20)], null).every((word) => word === 0)).toBe(true);
    expect(state.digests([arc(0, 4), arc(4, 2 ** 41)], null)).toEqual(state.digests([arc(0, 2 ** 41)], null));
  });

  test('sees every bit of key and ballot', () => {
    const digests = new Set<string>();
    const cases: readonly (readonly [ObjectKey, Ballot])[] = [
      [keyAt(1), ballot(1)], [keyAt(2), ballot(1)], [keyAt(1, 1), ballot(1)], [keyAt(1), ballot(2)], [keyAt(1), ballot(1 + 2 ** 32)], [keyAt(1), ballot(1, 2)], [keyAt(1), ballot(1, 1, 2)],
    ];
    for (const [key, accepted] of cases) digests.add(String(digestOf(key, accepted)));
    expect(digests.size).toBe(cases.length);
  });
});
