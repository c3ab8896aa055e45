import { describe, expect, test } from '@jest/globals';
import { checkLinearizability, type HistoryEntry } from '../../../src/sim/checkers/linearizability.ts';
import { OBJECT_MODEL, type ModelOp, type ModelResult } from '../../../src/sim/checkers/object-model.ts';

type Entry = HistoryEntry<ModelOp, ModelResult>;
const entry = (invokeAt: number, returnAt: number | null, op: ModelOp, result: ModelResult | null, key = 'k'): Entry => ({ client: 'c', key, op, invokeAt, returnAt, result });
const put = (from: number, to: number | null, tag: string, isCreated = false, key = 'k'): Entry =>
  entry(from, to, { kind: 'put', tag, condition: { kind: 'none' } }, to === null ? null : { kind: 'stored', isCreated }, key);
const get = (from: number, to: number, tag: string | null, key = 'k'): Entry => entry(from, to, { kind: 'get' }, { kind: 'value', tag }, key);
const verdict = (...history: readonly Entry[]): string => checkLinearizability(history, OBJECT_MODEL, 10_000).kind;

describe('the linearizability checker', () => {
  test('takes a sequential history', () => {
    expect(verdict(get(0, 1, null), put(2, 3, 'a', true), get(4, 5, 'a'), put(6, 7, 'b'), get(8, 9, 'b'))).toBe('linearizable');
  });
  test('finds a stale read', () => {
    expect(verdict(put(0, 1, 'a', true), put(2, 3, 'b'), get(4, 5, 'a'))).toBe('violation');
  });
  test('lets concurrent operations take either order, but all readers the same', () => {
    const puts = [put(0, 1, 'z', true), put(2, 10, 'a'), put(2, 10, 'b')];
    expect(verdict(...puts, get(11, 12, 'a'))).toBe('linearizable');
    expect(verdict(...puts, get(11, 12, 'b'))).toBe('linearizable');
    expect(verdict(...puts, get(11, 12, 'a'), get(13, 14, 'b'))).toBe('violation');
  });
  test('lets an unknown write happen late, never, but only once', () => {
    const unknown = put(2, null, 'b');
    expect(verdict(put(0, 1, 'a', true), unknown, get(5, 6, 'a'))).toBe('linearizable');
    expect(verdict(put(0, 1, 'a', true), unknown, get(5, 6, 'a'), get(7, 8, 'b'))).toBe('linearizable');
    expect(verdict(put(0, 1, 'a', true), unknown, get(5, 6, 'b'), get(7, 8, 'a'))).toBe('violation');
  });
  test('lets no write happen before it was called', () => {
    expect(verdict(get(0, 1, 'a'), put(2, 3, 'a', true))).toBe('violation');
  });
  test('holds conditional writes against the value', () => {
    const cas = (tag: string, base: string, result: ModelResult): Entry => entry(4, 5, { kind: 'put', tag, condition: { kind: 'tag', tag: base } }, result);
    expect(verdict(put(0, 1, 'a', true), cas('b', 'a', { kind: 'stored', isCreated: false }))).toBe('linearizable');
    expect(verdict(put(0, 1, 'a', true), cas('b', 'z', { kind: 'stored', isCreated: false }))).toBe('violation');
    expect(verdict(put(0, 1, 'a', true), cas('b', 'a', { kind: 'precondition-failed' }))).toBe('violation');
  });
  test('checks key by key and names the key', () => {
    const found = checkLinearizability([put(0, 1, 'a', true, 'x'), get(2, 3, 'a', 'y')], OBJECT_MODEL, 10_000);
    expect(found).toMatchObject({ kind: 'violation', key: 'y' });
  });
  test('says undecided rather than search for ever', () => {
    const many = Array.from({ length: 12 }, (_, i) => put(0, null, `${i}`));
    expect(checkLinearizability([...many, get(1, 2, 'nobody')], OBJECT_MODEL, 100).kind).toBe('undecided');
  });
});
