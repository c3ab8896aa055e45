import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { AUDITOR, checkHistory } from './history-check.ts';
import { entriesOf, HistoryRecorder, parseHistory, type HistoryLine, type HistoryOp, type HistoryResult } from './history-file.ts';
import { bodyOf, valueOf } from './register-client.ts';

/** A history written by hand: each step is called and answered before the next, unless it is left open. */
class Script {
  readonly lines: HistoryLine[] = [{ type: 'head', format: 'dht-history', version: 1, seed: 0, startedAt: '' }];
  #operations = 0;

  call(call: HistoryOp, client = 'c'): number {
    const op = this.#operations++;
    this.lines.push({ type: 'invoke', op, ms: 0, client, key: 'k', call });
    return op;
  }

  ok(op: number, result: HistoryResult): this {
    this.lines.push({ type: 'ok', op, ms: 0, result });
    return this;
  }

  put(value: string, isCreated: boolean): this {
    return this.ok(this.call({ f: 'put', value, condition: { kind: 'none' } }), { kind: 'stored', isCreated });
  }

  get(value: string | null, client = 'c'): this {
    return this.ok(this.call({ f: 'get' }, client), { kind: 'value', value });
  }

  remove(): this {
    return this.ok(this.call({ f: 'delete', condition: { kind: 'none' } }), { kind: 'deleted' });
  }

  unknownPut(value: string): this {
    const op = this.call({ f: 'put', value, condition: { kind: 'none' } });
    this.lines.push({ type: 'unknown', op, ms: 0, why: '' });
    return this;
  }

  /** Tried twice: the first try had no answer. */
  retriedPut(value: string, isCreated: boolean): this {
    const op = this.call({ f: 'put', value, condition: { kind: 'none' } });
    this.lines.push({ type: 'ok', op, ms: 0, result: { kind: 'stored', isCreated }, isRetried: true });
    return this;
  }

  /** So many writes of values of their own. */
  puts(count: number): this {
    for (let i = 0; i < count; i++) this.put(`other ${i}`, false);
    return this;
  }

  failedPut(value: string): this {
    const op = this.call({ f: 'put', value, condition: { kind: 'none' } });
    this.lines.push({ type: 'fail', op, ms: 0, why: '' });
    return this;
  }
}

const wrongOf = (script: Script): string => checkHistory(script.lines).wrong.join('\n');

describe('the check of a history', () => {
  test('takes one that is as promised', () => {
    const script = new Script().get(null).put('a', true).get('a').unknownPut('b').get('a').get('b').remove().get(null).failedPut('c').get(null);
    script.ok(script.call({ f: 'put', value: 'd', condition: { kind: 'tag', tag: 'b' } }), { kind: 'precondition-failed' });
    script.ok(script.call({ f: 'delete', condition: { kind: 'present' } }), { kind: 'precondition-failed' });
    script.get(null, AUDITOR);
    expect(wrongOf(script)).toBe('');
  });

  test.each([
    ['a lost write', new Script().put('a', true).get(null)],
    ['a stale read', new Script().put('a', true).put('b', false).get('a')],
    ['a deleted value that comes back', new Script().put('a', true).remove().get(null).get('a')],
    ['a value that a refused write left', new Script().put('a', true).failedPut('b').get('b')],
    ['an unknown write that happens twice', new Script().put('a', true).unknownPut('b').get('b').put('c', false).get('c').get('b')],
    ['a value that nobody wrote', new Script().put('a', true).get('z')],
    ['a write that says replaced where there was nothing', new Script().put('a', false)],
    ['reads at rest that differ', new Script().put('a', true).unknownPut('b').get('a', AUDITOR).get('b', AUDITOR)],
    ['a read at rest of what was replaced', new Script().put('a', true).put('b', false).get('a', AUDITOR)],
  ])('finds %s', (_, script) => {
    expect(wrongOf(script)).toMatch(/"k" is/);
  });

  test('lets an early try of a retried write come late once, and only after as many others as a key remembers', () => {
    const late = new Script().retriedPut('a', true).puts(8).get('a').get('a', AUDITOR);
    expect(checkHistory(late.lines)).toMatchObject({ wrong: [], late: ['k'] });
    expect(checkHistory(new Script().retriedPut('a', true).puts(8).lines)).toMatchObject({ wrong: [], late: [] });
    expect(wrongOf(new Script().retriedPut('a', true).puts(8).get('a').put('b', false).get('a'))).toMatch(/"k" is not linearizable/);
    expect(wrongOf(new Script().retriedPut('a', true).puts(7).get('a'))).toMatch(/"k" is not linearizable/);
    expect(wrongOf(new Script().put('a', true).puts(8).get('a'))).toMatch(/"k" is not linearizable/);
  });

  test('finds a condition that was not obeyed', () => {
    const script = new Script().put('a', true).put('b', false);
    script.ok(script.call({ f: 'put', value: 'c', condition: { kind: 'tag', tag: 'a' } }), { kind: 'stored', isCreated: false });
    expect(wrongOf(script)).toContain('put c if tag a -> replaced');
  });
});

describe('the file of a history', () => {
  test('comes back as it was written, and a tampered answer is found', async () => {
    const directory = mkdtempSync(path.join(tmpdir(), 'dht-history-'));
    try {
      const file = path.join(directory, 'history.jsonl');
      const recorder = new HistoryRecorder(file, 7);
      const put = recorder.invoke('c0', 'k', { f: 'put', value: 'a', condition: { kind: 'absent' } }, 2);
      const get = recorder.invoke('c1', 'k', { f: 'get' });
      recorder.ok(put, { kind: 'stored', isCreated: true });
      recorder.fault('SIGKILL of n1');
      recorder.ok(get, { kind: 'value', value: 'a' });
      recorder.fail(recorder.invoke('c1', 'k', { f: 'get' }), 'refused');
      await recorder.close();
      const text = readFileSync(file, 'utf8');
      expect(parseHistory(text)).toEqual(recorder.lines);
      expect(entriesOf(parseHistory(text))).toHaveLength(2);
      expect(checkHistory(parseHistory(text)).wrong).toEqual([]);
      const tampered = text.replace('"result":{"kind":"value","value":"a"}', '"result":{"kind":"value","value":"b"}');
      expect(checkHistory(parseHistory(tampered)).wrong).not.toEqual([]);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  test.each([
    ['nothing', '', /first line/],
    ['another format', '{"type":"head","format":"other","version":1}', /first line/],
    ['a later version', '{"type":"head","format":"dht-history","version":2}', /first line/],
    ['broken JSON', '{"type":"head","format":"dht-history","version":1}\n{"type"', /line 2/],
    ['an unknown line', '{"type":"head","format":"dht-history","version":1}\n{"type":"info"}', /line 2/],
  ])('is refused when it is %s', (_, text, message) => {
    expect(() => parseHistory(text)).toThrow(message);
  });

  test('is refused when an answer has no call', () => {
    const script = new Script().get(null);
    expect(() => entriesOf([...script.lines, { type: 'fail', op: 0, ms: 0, why: '' }])).toThrow(/operation 0/);
  });
});

describe('a body', () => {
  test('tells its value, and that it is mixed or cut in the wrong place', () => {
    const body = bodyOf('c1.7', 1000);
    expect(body).toHaveLength(1000);
    expect(valueOf(body)).toBe('c1.7');
    expect(valueOf(bodyOf('c1.7', 0))).toBe('c1.7');
    expect(valueOf(Buffer.concat([body.subarray(0, 500), bodyOf('c2.7', 1000).subarray(500)]))).toBeNull();
    expect(valueOf(Buffer.alloc(0))).toBeNull();
  });
});
