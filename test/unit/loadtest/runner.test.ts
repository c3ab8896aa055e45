import { describe, expect, test } from '@jest/globals';
import { ackedLine, AcknowledgedWrites, PREPARED_LINE, refusedLine, Refusals, removedLine } from '../../../loadtest/lib/log-lines.ts';
import { parseCommandLine } from '../../../loadtest/runner/command-line.ts';
import { findK6, outcomeOf } from '../../../loadtest/runner/k6-program.ts';

describe('the command line', () => {
  test('names a scenario, or is told what there is', () => {
    expect(parseCommandLine(['steady', '--url', 'http://a,http://b', '--rate', '7'], 5)).toMatchObject({ scenario: 'steady', profile: 'ci', urls: ['http://a', 'http://b'], overrides: { rate: 7, seconds: null }, seed: 5 });
    expect(parseCommandLine([], 5)).toBe('Which scenario?');
    expect(parseCommandLine(['stedy'], 5)).toContain('stedy');
    expect(parseCommandLine(['steady', '--profile', 'fast'], 5)).toContain('fast');
    expect(parseCommandLine(['steady', '--rate', '-1'], 5)).toContain('--rate');
    expect(parseCommandLine(['steady', '--speed', '1'], 5)).toContain('--speed');
  });

  test('verify needs what to read, and where', () => {
    expect(parseCommandLine(['verify', '--url', 'http://a'], 5)).toContain('--keys-file');
    expect(parseCommandLine(['verify', '--keys-file', 'x.json'], 5)).toContain('--url');
    expect(parseCommandLine(['verify', '--keys-file', '/x.json', '--url', 'http://a'], 5)).toMatchObject({ keysFile: '/x.json' });
  });
});

test('crossed limits are a result, anything else is a test that did not run', () => {
  expect(outcomeOf(0, true)).toBe('passed');
  expect(outcomeOf(0, false)).toBe('limits-broken');
  expect(outcomeOf(99, false)).toBe('limits-broken');
  // A ramp that found the knee.
  expect(outcomeOf(99, true)).toBe('passed');
  for (const broken of [107, 110, 1, null]) expect(outcomeOf(broken, true)).toBe('not-run');
  expect(outcomeOf(0, null)).toBe('not-run');
});

test('says how to get k6 where there is none', () => {
  const missing = findK6({ K6: '/nowhere/k6' });
  expect(missing.kind === 'missing' && missing.why).toContain('https://github.com/grafana/k6/releases');
});

describe('the acknowledged writes of a run', () => {
  const version = (clock: number): string => `1-${clock.toString(16)}-${'0'.repeat(32)}`;

  test('are the newest version of each key that was not deleted', () => {
    const writes = new AcknowledgedWrites();
    for (const line of [PREPARED_LINE, ackedLine('a', 1, version(16)), ackedLine('a', 3, version(17)), ackedLine('a', 2, version(9)), ackedLine('b', 1, version(1)), removedLine('b'), ackedLine('c', 1, version(1)), '']) {
      expect(writes.read(line)).toBe(true);
    }
    expect(writes.all()).toEqual([['a', 3, version(17)], ['c', 1, version(1)]]);
  });

  test('are told from what the script complains about', () => {
    expect(new AcknowledgedWrites().read('lost: a: 404, but generation 3 was acknowledged')).toBe(false);
  });
});

test('refusals are counted by what they say', () => {
  const refusals = new Refusals();
  const problem = (code: string): string => `503 {"code":"${code}","detail":"12 requests\nare being served","outcome":"not-applied"}`;
  for (const line of [refusedLine('put', problem('A')), refusedLine('put', problem('B')), refusedLine('put', problem('B')), refusedLine('get', 'dial: connection refused')]) expect(refusals.read(line)).toBe(true);
  expect(refusals.read('lost: a')).toBe(false);
  expect(refusals.lines()).toEqual(['     2 refused  put: B, not-applied', '     1 refused  put: A, not-applied', '     1 refused  get: dial: connection refused']);
});
