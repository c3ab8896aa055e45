import * as net from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { DhtError } from '../../src/domain/error-catalogue.ts';
import { CHUNK_BYTES } from '../../src/domain/limits.ts';
import { EdgeFixture, problemOf } from './edge-fixture.ts';

/** Reading through the gateway: ranges, conditions and bodies that come piece by piece. */
let edge: EdgeFixture;
let etag: string;
const MODIFIED = 'Tue, 14 Nov 2023 22:13:20 GMT';
const BEFORE = 'Tue, 14 Nov 2023 22:13:19 GMT';
const AFTER = 'Tue, 14 Nov 2023 22:13:21 GMT';
const SMALL = Buffer.from('0123456789');
/** Three chunks and a bit, no two bytes near each other alike. */
const LARGE = Buffer.from(Array.from({ length: 3 * CHUNK_BYTES + 77 }, (_, i) => (i * 7 + (i >> 8)) & 0xff));

beforeEach(async () => {
  edge = await EdgeFixture.start();
  etag = (await edge.object('small', { method: 'PUT', body: SMALL })).headers.get('etag') ?? '';
  await edge.object('large', { method: 'PUT', body: LARGE });
});

afterEach(() => edge.stop());

const get = (headers: Record<string, string>, name = 'small'): Promise<Response> => edge.object(name, { headers });

describe('a range', () => {
  test.each([
    ['bytes=0-3', '0123', 'bytes 0-3/10'],
    ['bytes=4-', '456789', 'bytes 4-9/10'],
    ['bytes=-3', '789', 'bytes 7-9/10'],
    ['bytes=9-9', '9', 'bytes 9-9/10'],
    ['bytes=5-9999999999999999999999', '56789', 'bytes 5-9/10'],
    ['bytes=-9999999999999999999999', '0123456789', 'bytes 0-9/10'],
    ['Bytes= 0-0 ', '0', 'bytes 0-0/10'],
  ])('%s is answered 206 with %p', async (range, text, contentRange) => {
    const response = await get({ range });
    expect(response.status).toBe(206);
    expect(response.headers.get('content-range')).toBe(contentRange);
    expect(response.headers.get('content-length')).toBe(String(text.length));
    expect(response.headers.get('etag')).toBe(etag);
    expect(response.headers.get('accept-ranges')).toBe('bytes');
    expect(await response.text()).toBe(text);
  });

  test.each(['bytes=0-1,4-5', 'bytes=3-1', 'lines=0-3', 'bytes=', 'bytes=-', 'bytes=a-b', 'bytes=1', 'bytes 0-1', 'bytes=0x0-1'])('%s is answered with the whole', async (range) => {
    const response = await get({ range });
    expect(response.status).toBe(200);
    expect(response.headers.get('content-range')).toBeNull();
    expect(await response.text()).toBe('0123456789');
  });

  test.each(['bytes=10-', 'bytes=10-20', 'bytes=-0', 'bytes=99999999999999999999-'])('%s is beyond the end: 416 with the size', async (range) => {
    const response = await get({ range });
    expect(response.headers.get('content-range')).toBe('bytes */10');
    expect(await problemOf(response)).toMatchObject({ status: 416, code: 'DHT_ERR_RANGE_NOT_SATISFIABLE' });
  });

  test('of an empty object is never satisfied, its last bytes are the whole', async () => {
    await edge.object('empty', { method: 'PUT', body: '' });
    expect((await get({ range: 'bytes=0-' }, 'empty')).status).toBe(416);
    expect((await get({ range: 'bytes=-5' }, 'empty')).status).toBe(200);
  });

  test('counts on GET alone', async () => {
    const head = await edge.object('small', { method: 'HEAD', headers: { range: 'bytes=0-3' } });
    expect([head.status, head.headers.get('content-length')]).toEqual([200, '10']);
  });

  test.each([
    [0, 0],
    [CHUNK_BYTES - 1, CHUNK_BYTES],
    [CHUNK_BYTES, 2 * CHUNK_BYTES - 1],
    [5, LARGE.length - 6],
    [LARGE.length - 1, LARGE.length - 1],
  ])('of a large object from %d to %d has just these bytes', async (first, last) => {
    const response = await get({ range: `bytes=${first}-${last}` }, 'large');
    expect(response.status).toBe(206);
    expect(response.headers.get('content-range')).toBe(`bytes ${first}-${last}/${LARGE.length}`);
    expect(Buffer.from(await response.arrayBuffer()).equals(LARGE.subarray(first, last + 1))).toBe(true);
  });

  test('with If-Range is served only of the version that is named', async () => {
    expect((await get({ range: 'bytes=0-1', 'if-range': etag })).status).toBe(206);
    for (const other of ['"other"', `W/${etag}`, MODIFIED, AFTER, 'nonsense']) expect((await get({ range: 'bytes=0-1', 'if-range': other })).status).toBe(200);
    expect((await get({ range: 'bytes=99-', 'if-range': '"other"' })).status).toBe(200);
  });
});

describe('a condition of a read', () => {
  const ours = 'ours';
  const cases: readonly (readonly [Record<string, string>, number])[] = [
    [{ 'if-none-match': ours }, 304],
    [{ 'if-none-match': `W/${ours}` }, 304],
    [{ 'if-none-match': `"x", ${ours}` }, 304],
    [{ 'if-none-match': '*' }, 304],
    [{ 'if-none-match': '"x"' }, 200],
    [{ 'if-none-match': 'unquoted' }, 200],
    [{ 'if-match': ours }, 200],
    [{ 'if-match': '*' }, 200],
    [{ 'if-match': `W/${ours}` }, 412],
    [{ 'if-match': '"x"' }, 412],
    [{ 'if-match': 'unquoted' }, 400],
    [{ 'if-modified-since': MODIFIED }, 304],
    [{ 'if-modified-since': AFTER }, 304],
    [{ 'if-modified-since': BEFORE }, 200],
    [{ 'if-modified-since': 'Tuesday, 14-Nov-23 22:13:20 GMT' }, 304],
    [{ 'if-modified-since': 'Tue Nov 14 22:13:20 2023' }, 304],
    [{ 'if-modified-since': 'Sun Nov  6 08:49:37 1994' }, 200],
    [{ 'if-modified-since': '2023-11-15' }, 200],
    [{ 'if-unmodified-since': MODIFIED }, 200],
    [{ 'if-unmodified-since': BEFORE }, 412],
    [{ 'if-unmodified-since': 'soon' }, 200],
    // Tags go before dates, and If-Match before If-None-Match.
    [{ 'if-none-match': '"x"', 'if-modified-since': AFTER }, 200],
    [{ 'if-none-match': ours, 'if-modified-since': BEFORE }, 304],
    [{ 'if-match': ours, 'if-unmodified-since': BEFORE }, 200],
    [{ 'if-match': '"x"', 'if-none-match': ours }, 412],
    [{ 'if-match': ours, 'if-none-match': ours }, 304],
    // Conditions go before ranges.
    [{ 'if-none-match': ours, range: 'bytes=0-1' }, 304],
    [{ 'if-match': '"x"', range: 'bytes=99-' }, 412],
  ];

  test.each(cases)('%j is answered %d, on GET and on HEAD', async (headers, status) => {
    const sent = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, value.replace(ours, etag)]));
    for (const method of ['GET', 'HEAD']) {
      const response = await edge.object('small', { method, headers: sent });
      expect(response.status).toBe(status);
      const body = await response.text();
      if (status === 304) expect([body, response.headers.get('etag'), response.headers.get('last-modified')]).toEqual(['', etag, MODIFIED]);
      if (status === 200 && method === 'GET') expect(body).toBe('0123456789');
    }
  });

  test('does not hide that there is no object', async () => {
    expect((await get({ 'if-match': '*' }, 'none')).status).toBe(404);
    expect((await get({ 'if-none-match': '*' }, 'none')).status).toBe(404);
  });
});

describe('a large body', () => {
  test('comes whole, and HEAD tells its length without reading it', async () => {
    const response = await get({}, 'large');
    expect(response.headers.get('content-length')).toBe(String(LARGE.length));
    expect(Buffer.from(await response.arrayBuffer()).equals(LARGE)).toBe(true);
    edge.node.atRead = () => Promise.reject(new Error('read for a HEAD'));
    const head = await edge.object('large', { method: 'HEAD' });
    expect([head.status, head.headers.get('content-length')]).toEqual([200, String(LARGE.length)]);
  });

  test('that can not be read from the start is a problem', async () => {
    edge.node.atRead = () => Promise.reject(new DhtError('DHT_ERR_NO_QUORUM', 'nobody has it'));
    expect(await problemOf(await get({}, 'large'))).toMatchObject({ status: 503, code: 'DHT_ERR_NO_QUORUM', detail: 'nobody has it' });
  });

  test('that can not be read on ends with a broken connection and a line in the log', async () => {
    edge.node.atRead = (offset) => (offset < 2 * CHUNK_BYTES ? null : Promise.reject(new DhtError('DHT_ERR_NO_QUORUM', 'the last one died')));
    const response = await get({}, 'large');
    expect(response.status).toBe(200);
    await expect(response.arrayBuffer()).rejects.toThrow();
    expect(edge.logLines.join('')).toContain('the last one died');
    expect(await metric('dht_gateway_aborted_transfers_total{transfer="download"}')).toBe(1);
  });

  test.each(['short', 'long'])('whose reader gives a %s body never looks complete', async (how) => {
    const found = await edge.node.objects.get({ name: 'large', consistency: 'linearizable', wantBody: true });
    if (found.kind !== 'found') throw new Error('not there');
    edge.node.nextGet = { ...found, open: () => found.open({ offset: 0, length: how === 'short' ? LARGE.length - 1 : LARGE.length }), record: { ...found.record, body: { ...found.record.body, size: how === 'short' ? LARGE.length : LARGE.length - 1 } } };
    await expect(get({}, 'large').then((response) => response.arrayBuffer())).rejects.toThrow();
  });

  test('is read at the pace of the client, and no further once it left', async () => {
    const CHUNKS = 400;
    const found = await edge.node.objects.get({ name: 'large', consistency: 'linearizable', wantBody: true });
    if (found.kind !== 'found') throw new Error('not there');
    let given = 0;
    let cancelled = 0;
    const chunk = Buffer.alloc(CHUNK_BYTES);
    edge.node.nextGet = { ...found, record: { ...found.record, body: { ...found.record.body, size: CHUNKS * CHUNK_BYTES } }, open: () => ({ next: () => Promise.resolve(given < CHUNKS ? (given++, chunk) : null), cancel: () => void cancelled++ }) };
    const socket = net.connect(edge.port, '127.0.0.1');
    socket.on('error', () => undefined);
    socket.write('GET /v1/objects/large HTTP/1.1\r\nHost: x\r\n\r\n');
    await new Promise<void>((resolve) => socket.once('readable', resolve));
    // Until it stands still: what the kernel's buffers take, far below the whole.
    for (let before = -1; before !== given; ) {
      before = given;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    expect(given).toBeLessThan(CHUNKS / 2);
    socket.destroy();
    while (cancelled === 0) await new Promise((resolve) => setImmediate(resolve));
    expect(given).toBeLessThan(CHUNKS / 2);
    expect(edge.logLines).toEqual([]);
  });

  test('that the ring gives too slowly is dropped when the client leaves meanwhile', async () => {
    edge.node.atRead = (offset) => (offset === 0 ? null : new Promise(() => undefined));
    const socket = net.connect(edge.port, '127.0.0.1');
    socket.write('GET /v1/objects/large HTTP/1.1\r\nHost: x\r\n\r\n');
    await new Promise<void>((resolve) => socket.once('data', () => resolve()));
    socket.destroy();
    while (edge.node.readersCancelled === 0) await new Promise((resolve) => setImmediate(resolve));
    expect(await metric('dht_gateway_aborted_transfers_total{transfer="download"}')).toBe(1);
    expect(await metric('dht_gateway_inflight_requests')).toBe(0);
  });

  test('is counted by its bytes', async () => {
    await (await get({ range: 'bytes=0-9' }, 'large')).arrayBuffer();
    await (await get({})).text();
    expect(await metric('dht_gateway_sent_bytes_total')).toBe(20);
    expect(await metric('dht_gateway_received_bytes_total')).toBe(SMALL.length + LARGE.length);
    expect(await metric('dht_gateway_response_size_bytes_count{method="GET"}')).toBe(2);
    expect(await metric('dht_gateway_response_size_bytes_sum{method="GET"}')).toBe(20);
    expect(await metric('dht_gateway_request_size_bytes_count{method="PUT"}')).toBe(2);
    expect(await metric('dht_gateway_request_size_bytes_sum{method="PUT"}')).toBe(SMALL.length + LARGE.length);
    expect(await metric('dht_gateway_requests_total{method="GET",route="/v1/objects/{name}",code="206"}')).toBe(1);
  });
});

describe('a listing', () => {
  const list = (query: string): Promise<Response> => fetch(`http://127.0.0.1:${edge.port}/v1/objects${query}`);

  test('has names with size, etag and time, and a cursor while there is more', async () => {
    expect(await (await list('')).json()).toEqual({ objects: [{ name: 'large', size: LARGE.length, etag: '"e"', modified: '2023-11-14T22:13:20.000Z' }, { name: 'small', size: 10, etag: '"e"', modified: '2023-11-14T22:13:20.000Z' }], commonPrefixes: [] });
    expect(await (await list('?limit=1')).json()).toMatchObject({ objects: [{ name: 'large' }], cursor: 'large' });
    expect(await (await list('?limit=1&cursor=large')).json()).toMatchObject({ objects: [{ name: 'small' }] });
    expect(edge.node.lists[0]).toEqual({ prefix: '', delimiter: null, limit: 1000, cursor: null });
  });

  test('passes its parameters on, decoded once', async () => {
    edge.node.nextList = { kind: 'page', objects: [], commonPrefixes: ['ä b/'], cursor: null };
    expect(await (await list('?prefix=%C3%A4+b%2F&delimiter=%2F&limit=7&cursor=%2541')).json()).toEqual({ objects: [], commonPrefixes: ['ä b/'] });
    expect(edge.node.lists).toEqual([{ prefix: 'ä b/', delimiter: '/', limit: 7, cursor: '%41' }]);
  });

  test.each(['?limit=0', '?limit=1001', '?limit=x', '?limit=-1', '?prefix=%ff', '?prefix=%', `?prefix=${'a'.repeat(1025)}`, '?delimiter=%zz', `?cursor=${'a'.repeat(5000)}`])('with %s is refused', async (query) => {
    expect(await problemOf(await list(query))).toMatchObject({ code: 'DHT_ERR_REQUEST_INVALID' });
    expect(edge.node.lists).toEqual([]);
  });

  test('that fails says why, and other methods are refused', async () => {
    edge.node.nextList = { kind: 'failed', code: 'DHT_ERR_NO_QUORUM', detail: 'an arc is down' };
    expect(await problemOf(await list(''))).toMatchObject({ status: 503, detail: 'an arc is down' });
    const response = await fetch(`http://127.0.0.1:${edge.port}/v1/objects`, { method: 'DELETE' });
    expect(response.headers.get('allow')).toBe('GET, HEAD, POST');
    expect((await problemOf(response)).status).toBe(405);
  });
});

async function metric(name: string): Promise<number> {
  const text = await (await edge.admin('/metrics')).text();
  return Number(text.split('\n').find((line) => line.startsWith(`${name} `))?.slice(name.length + 1));
}
