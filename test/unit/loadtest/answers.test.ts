import { expect, test } from '@jest/globals';
import { isWithoutRetryAfter, readAnswer, writeAnswer, type HttpAnswer } from '../../../loadtest/lib/answers.ts';

const answer = (status: number, members: Partial<HttpAnswer> & { readonly headers?: Readonly<Record<string, string>>; readonly body?: string } = {}): HttpAnswer =>
  ({ status, mayHaveArrived: true, header: (name) => members.headers?.[name] ?? null, text: () => members.body ?? '', error: '', ...members });

test('only what says so, or never left, was certainly not applied', () => {
  expect(writeAnswer(answer(503, { body: '{"outcome":"not-applied"}' })).kind).toBe('not-applied');
  expect(writeAnswer(answer(503, { body: '{"outcome":"unknown"}' })).kind).toBe('unknown');
  expect(writeAnswer(answer(500)).kind).toBe('unknown');
  expect(writeAnswer(answer(0)).kind).toBe('unknown');
  expect(writeAnswer(answer(0, { mayHaveArrived: false })).kind).toBe('not-applied');
  expect(writeAnswer(answer(412)).kind).toBe('not-applied');
  expect(writeAnswer(answer(201, { headers: { 'x-dht-version': 'v' } }))).toEqual({ kind: 'acknowledged', version: 'v' });
});

test('a read is there, is not there, or could not be made', () => {
  const body = (): { readonly size: number; readonly sha256: string } => ({ size: 3, sha256: 'x' });
  expect(readAnswer(answer(200, { headers: { 'x-dht-version': 'v', 'x-dht-meta-generation': '7' } }), body)).toEqual({ kind: 'found', version: 'v', generation: 7, size: 3, sha256: 'x' });
  expect(readAnswer(answer(404), body).kind).toBe('absent');
  for (const status of [0, 500, 503]) expect(readAnswer(answer(status), body).kind).toBe('unavailable');
});

test('a client is told when to come again, or the failure is one without Retry-After', () => {
  expect(isWithoutRetryAfter(answer(503, { headers: { 'retry-after': '1' } }))).toBe(false);
  for (const status of [0, 429, 500, 503]) expect(isWithoutRetryAfter(answer(status))).toBe(true);
  for (const status of [200, 404, 412]) expect(isWithoutRetryAfter(answer(status))).toBe(false);
});
