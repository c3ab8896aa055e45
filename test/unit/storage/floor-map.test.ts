import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { compareBallots, ZERO_BALLOT, type Ballot } from '../../../src/domain/ballot.ts';
import { BUCKET_COUNT } from '../../../src/storage/bucket-table.ts';
import { FloorMap } from '../../../src/storage/floor-map.ts';
import { ballot } from './store-fixture.ts';

/** Buckets near both ends and a few between, so that runs touch and overlap. */
const someBucket = fc.oneof(fc.nat(6), fc.integer({ min: BUCKET_COUNT - 4, max: BUCKET_COUNT - 1 }));
const someSpan = fc.tuple(someBucket, someBucket).map(([a, b]) => ({ first: Math.min(a, b), last: Math.max(a, b) }));
const someChange = fc.record({ span: someSpan, floor: fc.option(fc.integer({ min: 1, max: 4 })) });

test('floors agree with a list of one floor a bucket', () => {
  fc.assert(fc.property(fc.array(someChange, { maxLength: 15 }), someSpan, (changes, asked) => {
    const floors = new FloorMap();
    const model = new Map<number, Ballot>();
    const checked = [...Array(10).keys(), ...Array.from({ length: 6 }, (_, i) => BUCKET_COUNT - 6 + i)];
    for (const { span, floor } of changes) {
      if (floor === null) floors.clear(span);
      else floors.raise(span, ballot(floor));
      for (const bucket of checked.filter((one) => one >= span.first && one <= span.last)) {
        const before = model.get(bucket) ?? ZERO_BALLOT;
        model.set(bucket, floor === null ? ZERO_BALLOT : compareBallots(before, ballot(floor)) > 0 ? before : ballot(floor));
      }
    }
    for (const bucket of checked) expect(floors.get(bucket)).toEqual(model.get(bucket) ?? ZERO_BALLOT);
    const inside = checked.filter((bucket) => bucket >= asked.first && bucket <= asked.last).map((bucket) => model.get(bucket) ?? ZERO_BALLOT);
    expect(floors.highestOf(asked)).toEqual(inside.sort(compareBallots).at(-1) ?? ZERO_BALLOT);
  }));
});
