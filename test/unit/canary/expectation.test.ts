/** What one object may hold when some writes have no known outcome, and what each wrong answer is called. */
import { describe, expect, test } from '@jest/globals';
import { ABSENT, NOTHING_KNOWN, PENDING_MAX, acknowledged, begun, isWritable, observed, possible, refused, type Expectation, type Verdict, type Write } from '../../../src/canary/expectation.ts';

const RULES = { readsMin: 3, forMs: 1000 };

const settled = (version: number, next = version + 1): Expectation => ({ ...NOTHING_KNOWN, settled: version, next });

function read(expectation: Expectation, seen: number, nowMs = 0): readonly [Expectation, Verdict['kind']] {
  const { expectation: after, verdict } = observed(expectation, seen, nowMs, RULES);
  return [after, verdict.kind];
}

/** Wrong answers until they are believed. */
function believed(expectation: Expectation, seen: number): Verdict['kind'] {
  const [once, first] = read(expectation, seen, 0);
  const [twice, second] = read(once, seen, 500);
  expect([first, second]).toEqual(['doubtful', 'doubtful']);
  return read(twice, seen, 1000)[1];
}

function store(expectation: Expectation): readonly [Expectation, Write] {
  const { expectation: after, write } = begun(expectation, 'store');
  return [after, write];
}

describe('an object of the canary', () => {
  test('takes what is read first, when nothing is known', () => {
    expect(read(NOTHING_KNOWN, 7)).toEqual([{ ...settled(7), doubt: null }, 'expected']);
    expect(read(NOTHING_KNOWN, ABSENT)[1]).toBe('expected');
    expect(isWritable(NOTHING_KNOWN)).toBe(false);
  });

  test('expects only the acknowledged version', () => {
    const [writing, write] = store(settled(1));
    const after = acknowledged(writing, write);
    expect(possible(after)).toEqual(new Set([2]));
    expect(believed(after, 1)).toBe('lost');
    expect(believed(after, ABSENT)).toBe('lost');
  });

  test('expects the old or the new version while an outcome is unknown, and whichever was seen from then on', () => {
    const [unknown] = store(settled(1));
    expect(possible(unknown)).toEqual(new Set([1, 2]));
    const [seen] = read(unknown, 2);
    expect(possible(seen)).toEqual(new Set([2]));
    // Seen as it was, the write may still come.
    const [unseen] = read(unknown, 1);
    expect(possible(unseen)).toEqual(new Set([1, 2]));
  });

  test('knows that a write without an outcome can not apply any more once another took its place', () => {
    const [unknown] = store(settled(1));
    const [second, write] = store(unknown);
    const after = acknowledged(second, write);
    expect(possible(after)).toEqual(new Set([3]));
    expect(believed(after, 2)).toBe('lost');
  });

  test('expects nothing of a write that was refused', () => {
    const [writing, write] = store(settled(1));
    expect(possible(refused(writing, write))).toEqual(new Set([1]));
  });

  test('still expects the outcome of the first of two equal deletes when the second was refused', () => {
    const { expectation: unknown } = begun(settled(1), 'delete');
    const { expectation: deleting, write } = begun(read(unknown, 1)[0], 'delete');
    expect(possible(refused(deleting, write))).toEqual(new Set([1, ABSENT]));
  });

  test('calls a deleted version that stays back resurrected', () => {
    const { expectation, write } = begun(settled(1), 'delete');
    const deleted = acknowledged(expectation, write);
    expect(possible(deleted)).toEqual(new Set([ABSENT]));
    expect(believed(deleted, 1)).toBe('resurrected');
  });

  test('lets a create without an outcome come after a delete, once', () => {
    const [unknown] = store({ ...settled(ABSENT), next: 1 });
    const [again, create] = store(unknown);
    const created = acknowledged(again, create);
    expect(possible(created)).toEqual(new Set([2]));
    const { expectation: deleting, write } = begun(created, 'delete');
    const deleted = acknowledged(deleting, write);
    expect(possible(deleted)).toEqual(new Set([ABSENT, 1]));
    const [late, verdict] = read(deleted, 1);
    expect(verdict).toBe('expected');
    const { expectation: deletingAgain, write: secondDelete } = begun(late, 'delete');
    expect(believed(acknowledged(deletingAgain, secondDelete), 1)).toBe('resurrected');
  });

  test('calls wrong answers stale when the right one comes again, however often they were wrong', () => {
    const [once] = read(settled(5), 4, 0);
    const [twice] = read(once, ABSENT, 200);
    expect(observed(twice, 5, 400, RULES).verdict).toEqual({ kind: 'stale', reads: 2 });
  });

  test('believes a wrong answer only after some time, and then counts it once', () => {
    let expectation = settled(5);
    for (let i = 0; i < 10; i++) expectation = observed(expectation, ABSENT, i * 10, RULES).expectation;
    expect(expectation.doubt?.reads).toBe(10);
    expect(isWritable(expectation)).toBe(false);
    const [after, verdict] = read(expectation, ABSENT, 1000);
    expect(verdict).toBe('lost');
    expect(read(after, ABSENT, 1001)[1]).toBe('expected');
  });

  test('says that a version which it never wrote is unexpected, and goes on behind it', () => {
    const [after, verdict] = read(settled(5), 9);
    expect(verdict).toBe('unexpected');
    expect(begun(after, 'store').write).toEqual({ result: 10, replaces: 9 });
  });

  test('is not written with too many outcomes unknown', () => {
    let expectation: Expectation = { ...settled(ABSENT), next: 1 };
    for (let i = 0; i < PENDING_MAX; i++) expectation = begun(expectation, 'store').expectation;
    expect(isWritable(expectation)).toBe(false);
  });
});
