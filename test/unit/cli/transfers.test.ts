import { createHash } from 'node:crypto';
import { beforeEach, describe, expect, test } from '@jest/globals';
import { runCommandLine } from '../../../src/cli/command-line.ts';
import { EXIT } from '../../../src/cli/exit-code.ts';
import type { HttpRequest } from '../../../src/ports/http-client.ts';
import { FakeDoors, jsonResponse, type FakeAnswer } from './fake-doors.ts';

let doors: FakeDoors;

beforeEach(() => {
  doors = new FakeDoors();
});

const run = (...args: string[]): Promise<number> => runCommandLine(args, doors.deps(), { environment: {}, program: ['dht'], version: '1', nodeFlags: [] });
const sha256 = (bytes: Uint8Array, encoding: 'hex' | 'base64'): string => createHash('sha256').update(bytes).digest(encoding);
const nameOf = (request: HttpRequest): string => decodeURIComponent(request.url.slice('http://localhost:8080/v1/objects/'.length));

/** A node that keeps nothing and gives the right receipt. */
function takeAll(request: HttpRequest): FakeAnswer {
  const body = request.body ?? new Uint8Array();
  return jsonResponse(201, { name: nameOf(request), size: body.length, sha256: sha256(body, 'hex'), durableCopies: 3, replicationFactor: 3, owner: 'n:1' });
}

/** An object as a node gives it, whole or from an offset on. */
function giving(body: Buffer, etag: string, options: { readonly breaksAfter?: number; readonly digestOf?: Buffer } = {}): (request: HttpRequest) => FakeAnswer {
  return ({ headers }) => {
    const isRest = headers['range'] !== undefined && headers['if-range'] === etag;
    const from = isRest ? Number(/^bytes=(\d+)-$/.exec(headers['range'] ?? '')?.[1]) : 0;
    if (from >= body.length && isRest) return jsonResponse(416, { code: 'DHT_ERR_RANGE', retryable: false });
    const head = new Map([['etag', etag], ['repr-digest', `sha-256=:${sha256(options.digestOf ?? body, 'base64')}:`]]);
    if (isRest) head.set('content-range', `bytes ${from}-${body.length - 1}/${body.length}`);
    return { status: isRest ? 206 : 200, headers: head, body: body.subarray(from), ...(options.breaksAfter !== undefined && { breaksAfter: options.breaksAfter }) };
  };
}

const LARGE = Buffer.from(Array.from({ length: 3 * 1024 * 1024 }, (_, i) => i % 251));
const ABSENT = jsonResponse(404, { code: 'DHT_ERR_NOT_FOUND', title: 'There is no such object', retryable: false });

describe('dht put', () => {
  test('-r stores all files below a directory under its name', async () => {
    for (const path of ['x/dir/a', 'x/dir/sub/b', 'x/dir/sub/ü']) doors.stored.set(path, Buffer.from(path));
    doors.answer = takeAll;
    expect(await run('put', '-r', 'x/dir')).toBe(EXIT.OK);
    expect(doors.requests.map(nameOf).sort()).toEqual(['dir/a', 'dir/sub/b', 'dir/sub/ü']);
    expect(doors.requests.find((request) => nameOf(request) === 'dir/sub/b')?.body?.toString()).toBe('x/dir/sub/b');
  });

  test('-r stores under --name, and what is below "." under no name', async () => {
    doors.stored.set('dir/a', Buffer.from('1'));
    doors.stored.set('./b', Buffer.from('2'));
    doors.answer = takeAll;
    await run('put', '-r', 'dir', '--name', 'other');
    await run('put', '-r', '.');
    expect(doors.requests.map(nameOf)).toEqual(['other/a', 'b']);
  });

  test('leaves out what is no file, and says so', async () => {
    doors.stored.set('dir/a', Buffer.from('1'));
    doors.stored.set('dir/p', Buffer.from('pipe'));
    doors.answer = takeAll;
    expect(await run('put', '-r', 'dir')).toBe(EXIT.OK);
    expect(doors.noted).toBe('dht: dir/p is left out: is no regular file\n');
    expect(doors.requests).toHaveLength(1);
  });

  test('of several files goes on when one fails, and ends as that one did', async () => {
    for (const name of ['a', 'c']) doors.stored.set(name, Buffer.from(name));
    doors.answer = (request) => (nameOf(request) === 'c' ? jsonResponse(507, { code: 'DHT_ERR_DISK_FULL', title: 'Full', retryable: false }) : takeAll(request));
    expect(await run('put', 'a', 'b', 'c', '--json')).toBe(EXIT.ERROR);
    expect(doors.printed).toMatch(/^\[\{"name":"a".*\}\]\n\{"error":\{"message":"2 of 3 failed".*\}\n$/);
    expect(doors.noted).toContain('ENOENT');
    expect(doors.noted).toContain('Full');
  });

  test('prints every receipt of several files as one array', async () => {
    for (let i = 0; i < 20; i++) doors.stored.set(`d/${i}`, Buffer.from(`${i}`));
    doors.answer = takeAll;
    expect(await run('put', '-r', 'd', '--json')).toBe(EXIT.OK);
    expect((JSON.parse(doors.printed) as { name: string }[]).map(({ name }) => name).sort()).toEqual([...Array(20).keys()].map((i) => `d/${i}`).sort());
  });

  test('never has more than eight under way', async () => {
    for (let i = 0; i < 50; i++) doors.stored.set(`d/${i}`, Buffer.from(`${i}`));
    let underWay = 0;
    let most = 0;
    const http = {
      ...doors.http,
      upload: async (request: Parameters<typeof doors.http.upload>[0]) => {
        most = Math.max(most, ++underWay);
        await new Promise((resolve) => { setImmediate(resolve); });
        underWay -= 1;
        return await doors.http.upload(request);
      },
    };
    doors.answer = takeAll;
    expect(await runCommandLine(['put', '-r', 'd'], doors.deps(http), { environment: {}, program: [], version: '', nodeFlags: [] })).toBe(EXIT.OK);
    expect([most, doors.requests.length]).toEqual([8, 50]);
  });

  test('reads the file again for a second attempt', async () => {
    doors.stored.set('a', LARGE);
    let count = 0;
    doors.answer = (request) => (count++ === 0 ? jsonResponse(503, { code: 'DHT_ERR_OVERLOADED', retryable: true, outcome: 'not-applied' }) : takeAll(request));
    expect(await run('put', 'a')).toBe(EXIT.OK);
    expect(doors.requests.map(({ body }) => body?.length)).toEqual([LARGE.length, LARGE.length]);
  });

  test('says so when other bytes arrived than were sent', async () => {
    doors.stored.set('a', Buffer.from('x'));
    doors.answer = () => jsonResponse(201, { name: 'a', size: 1, sha256: sha256(Buffer.from('y'), 'hex') });
    expect(await run('put', 'a')).toBe(EXIT.ERROR);
    expect(doors.noted).toContain('arrived damaged');
  });
});

describe('dht get', () => {
  test('asks for the rest when the answer breaks off', async () => {
    let count = 0;
    doors.answer = (request) => giving(LARGE, '"1-a"', count++ < 2 ? { breaksAfter: 1_000_000 } : {})(request);
    expect(await run('get', 'a')).toBe(EXIT.OK);
    expect(doors.saved.get('a')?.equals(LARGE)).toBe(true);
    expect(doors.requests.map(({ headers }) => headers['range'])).toEqual([undefined, 'bytes=1000000-', 'bytes=2000000-']);
    expect(doors.requests[1]?.headers['if-range']).toBe('"1-a"');
  });

  test('gives up after some answers without progress, and keeps a large part', async () => {
    let count = 0;
    doors.answer = (request) => giving(LARGE, '"1-a"', { breaksAfter: count++ === 0 ? 2_000_000 : 0 })(request);
    expect(await run('get', 'a')).toBe(EXIT.UNAVAILABLE);
    expect(doors.requests).toHaveLength(4);
    expect(doors.saved.size).toBe(0);
    expect(doors.parts.get('a 1-a')?.length).toBe(2_000_000);
  });

  test('goes on with what an earlier command left of the same version', async () => {
    doors.parts.set('a 1-a', LARGE.subarray(0, 2_000_000));
    doors.answer = giving(LARGE, '"1-a"');
    expect(await run('get', 'a')).toBe(EXIT.OK);
    expect(doors.requests.map(({ headers }) => headers['range'])).toEqual(['bytes=2000000-']);
    expect(doors.saved.get('a')?.equals(LARGE)).toBe(true);
    expect(doors.parts.size).toBe(0);
  });

  test('begins again when the object was replaced since', async () => {
    doors.parts.set('a 1-a', LARGE.subarray(0, 2_000_000));
    const other = Buffer.from(LARGE).reverse();
    doors.answer = giving(other, '"2-b"');
    expect(await run('get', 'a')).toBe(EXIT.OK);
    expect(doors.saved.get('a')?.equals(other)).toBe(true);
    expect(doors.parts.size).toBe(0);
  });

  test.each([
    ['has rotted', Buffer.alloc(2_000_000)],
    ['is longer than the object', Buffer.concat([LARGE, LARGE])],
  ])('begins again when what an earlier command left %s', async (_what, left) => {
    doors.parts.set('a 1-a', left);
    doors.answer = giving(LARGE, '"1-a"');
    expect(await run('get', 'a')).toBe(EXIT.OK);
    expect(doors.saved.get('a')?.equals(LARGE)).toBe(true);
    expect(doors.requests).toHaveLength(2);
  });

  test('keeps nothing of a body that has another digest than announced', async () => {
    doors.answer = giving(LARGE, '"1-a"', { digestOf: Buffer.from('other') });
    expect(await run('get', 'a')).toBe(EXIT.ERROR);
    expect([doors.saved.size, doors.parts.size, doors.requests.length]).toEqual([0, 0, 1]);
  });

  test('keeps no small part', async () => {
    let count = 0;
    doors.answer = (request) => giving(LARGE, '"1-a"', { breaksAfter: count++ === 0 ? 1000 : 0 })(request);
    expect(await run('get', 'a')).toBe(EXIT.UNAVAILABLE);
    expect(doors.parts.size).toBe(0);
  });

  test('of an absent object, or where no node is, tries once and makes nothing', async () => {
    doors.answers = [ABSENT];
    expect(await run('get', 'a')).toBe(EXIT.ABSENT);
    doors.answers = [new Error('no answer from http://localhost:8080 (connect ECONNREFUSED)')];
    expect(await run('get', 'a')).toBe(EXIT.UNAVAILABLE);
    expect([doors.requests.length, doors.saved.size, doors.parts.size]).toEqual([2, 0, 0]);
  });

  test('tries again what a node refuses for the moment', async () => {
    let count = 0;
    doors.answer = (request) => (count++ === 0 ? jsonResponse(503, { code: 'DHT_ERR_NO_QUORUM', retryable: true }) : giving(Buffer.from('x'), '"1"')(request));
    expect(await run('get', 'a')).toBe(EXIT.OK);
    expect(doors.saved.get('a')?.toString()).toBe('x');
  });

  test('-o - goes on with the same version, but never prints two', async () => {
    let count = 0;
    const text = Buffer.from('0123456789');
    doors.answer = (request) => giving(text, '"1-a"', count++ === 0 ? { breaksAfter: 4 } : {})(request);
    expect(await run('get', 'a', '-o', '-')).toBe(EXIT.OK);
    expect(doors.printed).toBe('0123456789');
    doors.printed = '';
    count = 0;
    doors.answer = (request) => giving(text, `"${count++}-a"`, { breaksAfter: 4 })(request);
    expect(await run('get', 'a', '-o', '-')).toBe(EXIT.CONFLICT);
    expect(doors.printed).toBe('0123');
  });

  test('refuses a part that it did not ask for', async () => {
    doors.answer = (request) => ({ ...giving(Buffer.from('x'), '"1"')(request), status: 206 });
    expect(await run('get', 'a')).toBe(EXIT.ERROR);
    expect(doors.saved.size).toBe(0);
  });

  test('-r saves every object of every page into sub-directories', async () => {
    const page = (names: readonly string[], cursor?: string): FakeAnswer => jsonResponse(200, { objects: names.map((name) => ({ name, size: 1, etag: '"1"', modified: '2024-01-01T00:00:00.000Z' })), commonPrefixes: [], cursor });
    doors.answer = (request) => {
      if (!request.url.includes('/v1/objects?')) return giving(Buffer.from(nameOf(request)), '"1"')(request);
      return request.url.endsWith('cursor=C') ? page(['p/b/c', 'p//d']) : page(['p/a', 'p/b/../e'], 'C');
    };
    expect(await run('get', '-r', 'p/')).toBe(EXIT.ERROR);
    expect(doors.requests[0]?.url).toBe('http://localhost:8080/v1/objects?prefix=p%2F');
    expect([...doors.saved].map(([path, bytes]) => [path, bytes.toString()])).toEqual([['p/a', 'p/a'], ['p/b/c', 'p/b/c']]);
    expect(doors.noted).toContain('2 of 4 failed');
  });

  test('-r of a prefix that no name has ends with 4', async () => {
    doors.answers = [jsonResponse(200, { objects: [], commonPrefixes: [] })];
    expect(await run('get', '-r', 'p/')).toBe(EXIT.ABSENT);
  });

  test('draws how much is left for a person', async () => {
    doors.isInteractive = true;
    doors.answer = giving(LARGE, '"1"');
    await run('get', 'a');
    expect(doors.noted).toMatch(/\[=== +\] {3}8 %/);
  });
});

describe('dht ls', () => {
  const first = { objects: [{ name: 'a\x1b', size: 1536, etag: '"1"', modified: '2024-05-06T07:08:09.123Z' }, { name: 'c', size: 5, etag: '"2"', modified: '2024-05-06T07:08:09.000Z' }], commonPrefixes: ['b/'], cursor: 'C=' };
  const second = { objects: [], commonPrefixes: ['d/'] };

  test('prints objects and prefixes of all pages in order', async () => {
    doors.answers = [jsonResponse(200, first), jsonResponse(200, second)];
    expect(await run('ls', 'ä', '--delimiter', '/')).toBe(EXIT.OK);
    expect(doors.printed).toBe(
      '   1.5 KiB  2024-05-06T07:08:09Z  a\\u{1b}\n'
      + '                                  b/\n'
      + '       5 B  2024-05-06T07:08:09Z  c\n'
      + '                                  d/\n',
    );
    expect(doors.requests.map(({ url }) => url)).toEqual([
      'http://localhost:8080/v1/objects?prefix=%C3%A4&delimiter=%2F',
      'http://localhost:8080/v1/objects?prefix=%C3%A4&delimiter=%2F&cursor=C%3D',
    ]);
  });

  test('prints one array with --json, of nothing too', async () => {
    doors.answers = [jsonResponse(200, first), jsonResponse(200, second)];
    await run('ls', '--json');
    expect(JSON.parse(doors.printed)).toEqual([first.objects[0], { prefix: 'b/' }, first.objects[1], { prefix: 'd/' }]);
    doors.printed = '';
    doors.answers = [jsonResponse(200, { objects: [], commonPrefixes: [] })];
    expect(await run('ls', '--json')).toBe(EXIT.OK);
    expect(doors.printed).toBe('[]\n');
  });

  test('closes the array when a later page fails', async () => {
    doors.answers = [jsonResponse(200, first), ABSENT];
    expect(await run('ls', '--json')).toBe(EXIT.ABSENT);
    expect(doors.printed).toMatch(/^\[[^]*\]\n\{"error":/);
  });
});
