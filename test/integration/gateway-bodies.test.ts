import { createHash } from 'node:crypto';
import * as net from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { INLINE_BODY_BYTES_MAX } from '../../src/domain/limits.ts';
import { EdgeFixture, problemOf } from './edge-fixture.ts';

/** Bodies above the inline limit, from clients good and bad. */
const MIB = 1024 * 1024;
const LARGE = Buffer.alloc(3 * MIB + 5, 'large body ');
let edge: EdgeFixture;

beforeEach(async () => {
  edge = await EdgeFixture.start();
});

afterEach(() => edge.stop());

const put = (name: string, body: Buffer, headers: Record<string, string> = {}): Promise<Response> => edge.object(name, { method: 'PUT', body, headers });
const chunked = (name: string, body: Buffer, headers: Record<string, string> = {}): Promise<Response> => edge.object(name, { method: 'PUT', body: new Blob([new Uint8Array(body)]).stream(), duplex: 'half', headers } as RequestInit);
const stored = (name: string): Buffer | undefined => edge.node.stored.get(name)?.body;
const until = async (condition: () => boolean): Promise<void> => {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
};

describe('a large body', () => {
  test('of known length is pulled with its length, its headers and its condition', async () => {
    const response = await put('x', LARGE, { 'content-type': 'text/plain', 'x-dht-meta-colour': 'blue', 'if-none-match': '*', 'idempotency-key': 'k' });
    expect(response.status).toBe(201);
    expect(await response.json()).toMatchObject({ size: LARGE.length, sha256: createHash('sha256').update(LARGE).digest('hex') });
    expect(edge.node.streams[0]).toMatchObject({ expectedSize: LARGE.length, contentType: 'text/plain', meta: [['colour', 'blue']], condition: { kind: 'absent' } });
    expect(edge.node.streams[0]?.opId).toMatch(/^[0-9a-f]{32}$/);
    expect(stored('x')?.equals(LARGE)).toBe(true);
    expect((await put('x', LARGE, { 'if-none-match': '*' })).status).toBe(412);
    expect((await put('x', LARGE)).status).toBe(200);
  });

  test('of unknown length is pulled too, whatever its length', async () => {
    for (const length of [1, INLINE_BODY_BYTES_MAX, INLINE_BODY_BYTES_MAX + 1, LARGE.length]) {
      expect((await chunked(`${length}`, LARGE.subarray(0, length))).status).toBe(201);
      expect(edge.node.streams.at(-1)?.expectedSize).toBeNull();
      expect(stored(`${length}`)?.equals(LARGE.subarray(0, length))).toBe(true);
    }
  });

  test('just above the inline limit is pulled, one at it is collected', async () => {
    await put('at', LARGE.subarray(0, INLINE_BODY_BYTES_MAX));
    expect(edge.node.streams).toHaveLength(0);
    await put('above', LARGE.subarray(0, INLINE_BODY_BYTES_MAX + 1));
    expect(edge.node.streams).toHaveLength(1);
  });

  test('is stored only when it has its announced digests', async () => {
    const good = { 'content-md5': createHash('md5').update(LARGE).digest('base64'), 'content-digest': `sha-256=:${createHash('sha256').update(LARGE).digest('base64')}:`, 'repr-digest': `sha-512=:${createHash('sha512').update(LARGE).digest('base64')}:` };
    expect((await put('good', LARGE, good)).status).toBe(201);
    for (const header of Object.keys(good)) {
      for (const send of [put, chunked]) {
        const lie = Buffer.from(LARGE);
        lie[LARGE.length - 1] = 0;
        expect(await problemOf(await send('bad', lie, { [header]: good[header as keyof typeof good] }))).toMatchObject({ status: 422, code: 'DHT_ERR_DIGEST_MISMATCH', outcome: 'not-applied' });
      }
    }
    expect(stored('bad')).toBeUndefined();
  });

  test('above the largest size is refused: by its length before it is sent, else when it gets there', async () => {
    await edge.stop();
    edge = await EdgeFixture.start({ objectBytesMax: MIB });
    const announced = await edge.raw(`PUT /v1/objects/x HTTP/1.1\r\nHost: x\r\nContent-Length: ${MIB + 1}\r\n\r\n`, { end: true });
    expect(announced).toMatch(/^HTTP\/1\.1 413 /);
    expect(announced).toContain('"outcome":"not-applied"');
    expect(edge.node.streams).toHaveLength(0);
    expect(await problemOf(await chunked('x', LARGE.subarray(0, MIB + 1)))).toMatchObject({ status: 413, outcome: 'not-applied' });
    expect((await chunked('y', LARGE.subarray(0, MIB))).status).toBe(201);
    expect(stored('x')).toBeUndefined();
    const endless = await edge.raw('PUT /v1/objects/x HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n');
    expect(endless).toMatch(/^HTTP\/1\.1 4(13|00) /);
  });

  test('is asked for with 100 Continue only when the node pulls it', async () => {
    const head = `PUT /v1/objects/x HTTP/1.1\r\nHost: x\r\nConnection: close\r\nExpect: 100-continue\r\nContent-Length: ${LARGE.length}\r\n\r\n`;
    expect(await edge.raw(Buffer.concat([Buffer.from(head), LARGE]))).toMatch(/^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 201 /);
    edge.node.objects.putStream = () => Promise.resolve({ kind: 'not-applied', code: 'DHT_ERR_NO_QUORUM', detail: 'alone' });
    const refused = await edge.raw(head.replace('Connection: close\r\n', ''));
    expect(refused).toMatch(/^HTTP\/1\.1 503 /);
    expect(refused.toLowerCase()).toContain('connection: close');
  });

  test('that the node refuses in the middle is answered, and the next request on the connection too', async () => {
    edge.node.objects.putStream = async ({ source }) => {
      await source.next();
      return { kind: 'not-applied', code: 'DHT_ERR_DISK_FULL', detail: 'full' };
    };
    const get = 'GET /v1/objects/none HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n';
    const answer = await edge.raw(Buffer.concat([Buffer.from(`PUT /v1/objects/x HTTP/1.1\r\nHost: x\r\nContent-Length: ${LARGE.length}\r\n\r\n`), LARGE, Buffer.from(get)]));
    expect(answer).toMatch(/^HTTP\/1\.1 507 [^]*HTTP\/1\.1 404 /);
  });
});

describe('a client', () => {
  test.each([
    ['breaks off', `Content-Length: ${LARGE.length}\r\n\r\n${'x'.repeat(MIB)}`],
    ['announces more than it sends', `Content-Length: ${MIB + 1}\r\n\r\n${'x'.repeat(MIB)}`],
    ['breaks off between chunks', `Transfer-Encoding: chunked\r\n\r\n40000\r\n${'x'.repeat(0x40000)}\r\n`],
    ['breaks off in a chunk', `Transfer-Encoding: chunked\r\n\r\n40001\r\n${'x'.repeat(0x40000)}`],
    ['sends a chunk without a length', `Transfer-Encoding: chunked\r\n\r\n40000\r\n${'x'.repeat(0x40000)}\r\nzz\r\n`],
  ])('that %s leaves nothing behind, and the old version stays', async (_what, rest) => {
    await put('x', Buffer.from('old'));
    await edge.raw(`PUT /v1/objects/x HTTP/1.1\r\nHost: x\r\n${rest}`, { end: true });
    await until(() => edge.node.streams.length === 1);
    expect(stored('x')?.toString()).toBe('old');
    expect((await put('y', LARGE)).status).toBe(201);
    expect(edge.logLines).toEqual([]);
  });

  test('that goes away in the middle makes the source fail, now and later', async () => {
    const socket = net.connect(edge.port, '127.0.0.1');
    socket.on('error', () => undefined);
    socket.write(`PUT /v1/objects/x HTTP/1.1\r\nHost: x\r\nContent-Length: ${LARGE.length}\r\n\r\n${'x'.repeat(200_000)}`);
    await until(() => edge.node.streams.length === 1);
    socket.resetAndDestroy();
    while (!(await (await edge.admin('/metrics')).text()).includes('dht_gateway_aborted_transfers_total{transfer="upload"} 1'));
    await expect(edge.node.streams[0]?.source.next()).rejects.toThrow('broke off');
    expect(edge.node.puts).toEqual([]);
  });

  test('that sends faster than the ring takes is held back, not buffered', async () => {
    let release: () => void = () => undefined;
    const held = new Promise<void>((resolve) => (release = resolve));
    let pulls = 0;
    edge.node.beforePull = () => (pulls++ === 0 ? Promise.resolve() : held);
    const size = 64 * MIB;
    const socket = net.connect(edge.port, '127.0.0.1');
    socket.write(`PUT /v1/objects/x HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: ${size}\r\n\r\n`);
    const piece = Buffer.alloc(MIB);
    for (let sent = 0; sent < size; sent += MIB) socket.write(piece);
    let before = -1;
    const taken = (): number => socket.bytesWritten - socket.writableLength;
    while (before !== taken() || taken() === 0) {
      before = taken();
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    expect(socket.bytesWritten - socket.writableLength).toBeLessThan(24 * MIB);
    edge.node.isForgetful = true;
    release();
    const answer = await new Promise<string>((resolve) => socket.once('data', (chunk: Buffer) => resolve(chunk.toString())));
    expect(answer).toMatch(/^HTTP\/1\.1 201 /);
    socket.destroy();
  });

  test.each([
    ['sends nothing any more', `PUT /v1/objects/x HTTP/1.1\r\nHost: x\r\nContent-Length: ${LARGE.length}\r\n\r\nabc`],
    ['sends nothing any more of a small body', 'PUT /v1/objects/x HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc'],
    ['never ends its form', 'POST /v1/objects HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n--b\r\n'],
  ])('that %s is cut', async (_what, bytes) => {
    await edge.stop();
    edge = await EdgeFixture.start({ progress: { intervalMs: 20, sentBytesMin: 1, takingLooksMax: 3 } });
    expect(await edge.raw(bytes)).toBe('');
    expect(edge.node.puts).toEqual([]);
    expect((await put('y', LARGE)).status).toBe(201);
  });

  test('that does not take its answer is cut', async () => {
    await edge.stop();
    edge = await EdgeFixture.start({ progress: { intervalMs: 20, sentBytesMin: 1, takingLooksMax: 3 } });
    await put('x', LARGE);
    const found = await edge.node.objects.get({ name: 'x', consistency: 'linearizable', wantBody: true });
    if (found.kind !== 'found') throw new Error('not there');
    let isCancelled = false;
    edge.node.nextGet = { ...found, record: { ...found.record, body: { ...found.record.body, size: 1e9 } }, open: () => ({ next: () => Promise.resolve(LARGE), cancel: () => (isCancelled = true) }) };
    const socket = net.connect(edge.port, '127.0.0.1');
    socket.on('error', () => undefined);
    socket.pause();
    socket.write('GET /v1/objects/x HTTP/1.1\r\nHost: x\r\n\r\n');
    await until(() => isCancelled);
    socket.destroy();
  });

  test('that sends slowly but moves is served', async () => {
    await edge.stop();
    edge = await EdgeFixture.start({ progress: { intervalMs: 100, sentBytesMin: 10, takingLooksMax: 3 } });
    const socket = net.connect(edge.port, '127.0.0.1');
    const answer = new Promise<string>((resolve) => socket.once('data', (chunk: Buffer) => resolve(chunk.toString())));
    socket.write('PUT /v1/objects/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n');
    for (let i = 0; i < 20; i++) {
      socket.write('a\r\n0123456789\r\n');
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    socket.write('0\r\n\r\n');
    expect(await answer).toMatch(/^HTTP\/1\.1 201 /);
    expect(stored('x')?.length).toBe(200);
    socket.destroy();
  });
});

test('200 MiB up and down leave the memory of the process flat', async () => {
  const size = 200 * MIB;
  edge.node.isForgetful = true;
  const piece = Buffer.alloc(256 * 1024);
  let peak = 0;
  const look = setInterval(() => (peak = Math.max(peak, process.memoryUsage.rss())), 5);
  const atStart = process.memoryUsage.rss();
  try {
    async function* pieces(): AsyncGenerator<Buffer> {
      for (let sent = 0; sent < size; sent += piece.length) {
        await new Promise((resolve) => setImmediate(resolve));
        yield piece;
      }
    }
    const response = await edge.object('x', { method: 'PUT', body: pieces(), duplex: 'half' } as unknown as RequestInit);
    expect(response.status).toBe(201);
    await put('y', LARGE);
    edge.node.isForgetful = false;
    await put('y', LARGE);
    const found = await edge.node.objects.get({ name: 'y', consistency: 'linearizable', wantBody: true });
    if (found.kind !== 'found') throw new Error('not there');
    let given = 0;
    edge.node.nextGet = { ...found, record: { ...found.record, body: { ...found.record.body, size } }, open: () => ({ next: () => Promise.resolve((given += piece.length) <= size ? piece : null), cancel: () => undefined }) };
    let received = 0;
    for await (const part of (await edge.object('y')).body ?? []) received += (part as Uint8Array).length;
    expect(received).toBe(size);
  } finally {
    clearInterval(look);
  }
  // The client lives in the same process, and its garbage too.
  expect((peak - atStart) / MIB).toBeLessThan(120);
});
