import { describe, expect, test } from '@jest/globals';
import type { ReadAnswer, WriteAnswer } from '../../../loadtest/lib/answers.ts';
import { KeyWatch } from '../../../loadtest/lib/key-watch.ts';

const NODE = '0'.repeat(32);
const version = (clock: number, epoch = 1): string => `${epoch.toString(16)}-${clock.toString(16)}-${NODE}`;
const acknowledged = (clock: number): WriteAnswer => ({ kind: 'acknowledged', version: version(clock) });
const deleted: WriteAnswer = { kind: 'acknowledged', version: null };
const unknown: WriteAnswer = { kind: 'unknown', detail: '' };
const notApplied: WriteAnswer = { kind: 'not-applied', detail: '' };
const found = (generation: number, clock: number, sha256 = `${generation}`): ReadAnswer => ({ kind: 'found', generation, version: version(clock), size: 1, sha256 });
const absent: ReadAnswer = { kind: 'absent' };
const digest = (_key: string, generation: number): string => `${generation}`;
const own = (): KeyWatch => new KeyWatch('k', digest, { isOwn: true, initial: 'absent' });
const shared = (): KeyWatch => new KeyWatch('k', digest, { isOwn: false, initial: 0 });

describe('a key that only this client writes', () => {
  test('an acknowledged put that is not there is lost', () => {
    const watch = own();
    watch.wrote(1, acknowledged(5));
    expect(watch.judge(found(1, 5)).kind).toBe('right');
    expect(watch.judge(absent).kind).toBe('lost');
  });

  test('a read that failed says nothing', () => {
    const watch = own();
    watch.wrote(1, acknowledged(5));
    expect(watch.judge({ kind: 'unavailable', detail: '' }).kind).toBe('unavailable');
  });

  test('a put with an unknown outcome may be there or not, and is never lost', () => {
    const watch = own();
    watch.wrote(1, unknown);
    expect(watch.judge(absent).kind).toBe('right');
    expect(watch.judge(found(1, 5)).kind).toBe('right');
  });

  test('a put with an unknown outcome may also come into force after a later one', () => {
    const watch = own();
    watch.wrote(1, unknown);
    watch.wrote(2, acknowledged(5));
    expect(watch.judge(found(2, 5)).kind).toBe('right');
    expect(watch.judge(found(1, 9)).kind).toBe('right');
  });

  test('a delete with an unknown outcome allows for both', () => {
    const watch = own();
    watch.wrote(1, acknowledged(5));
    watch.wrote('absent', unknown);
    expect(watch.judge(found(1, 5)).kind).toBe('right');
    expect(watch.judge(absent).kind).toBe('right');
  });

  test('a put that was not applied changes nothing', () => {
    const watch = own();
    watch.wrote(1, acknowledged(5));
    watch.wrote(2, notApplied);
    expect(watch.judge(found(1, 5)).kind).toBe('right');
    expect(watch.judge(found(2, 6)).kind).toBe('stale');
  });

  test('an object that comes back after its delete was acknowledged is stale', () => {
    const watch = own();
    watch.wrote(1, acknowledged(5));
    watch.wrote('absent', deleted);
    expect(watch.judge(absent).kind).toBe('right');
    expect(watch.judge(found(1, 5)).kind).toBe('stale');
  });
});

describe('a key that others write too', () => {
  test('another generation is right, a missing object is lost', () => {
    const watch = shared();
    watch.wrote(1, acknowledged(5));
    expect(watch.judge(found(9, 6)).kind).toBe('right');
    expect(watch.judge(absent).kind).toBe('lost');
  });

  test('an older version than one that was seen is stale', () => {
    const watch = shared();
    expect(watch.judge(found(9, 6)).kind).toBe('right');
    expect(watch.judge(found(3, 5)).kind).toBe('stale');
    expect(watch.judge(found(3, 0x10)).kind).toBe('right');
    expect(watch.judge(found(9, 6)).kind).toBe('stale');
  });

  test('a version of a later epoch is newer, whatever its clock says', () => {
    const watch = shared();
    watch.expectAtLeast(version(900, 2));
    expect(watch.judge({ ...found(1, 0), version: version(1, 0x10) } as ReadAnswer).kind).toBe('right');
    expect(watch.judge({ ...found(1, 0), version: version(999, 2) } as ReadAnswer).kind).toBe('stale');
  });
});

test('bytes that are not those of their generation are corrupt', () => {
  expect(shared().judge(found(2, 6, 'other')).kind).toBe('corrupt');
  expect(shared().judge(found(NaN, 6)).kind).toBe('corrupt');
});
