/** GET /v1/events over real sockets: resuming, heads, limits, and a client that doesn't read. */
import * as net from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { EdgeFixture, problemOf } from './edge-fixture.ts';

let edge: EdgeFixture;

beforeEach(async () => {
  edge = await EdgeFixture.start();
});

afterEach(() => edge.stop());

const add = (message: string): void => { edge.node.events.add({ kind: 'down', member: 'a:1', epoch: 3, count: null, message }, 0); };

/** Reads until the text is there. */
async function readUntil(response: Response, text: string): Promise<string> {
  const reader = (response.body as ReadableStream<Uint8Array>).getReader();
  let seen = '';
  while (!seen.includes(text)) {
    const { value, done } = await reader.read();
    if (done) throw new Error(`ended after ${seen}`);
    seen += Buffer.from(value).toString();
  }
  await reader.cancel();
  return seen;
}

describe('the stream of events', () => {
  test('begins with those kept, goes on with further ones, and resumes behind the last one seen', async () => {
    add('one');
    add('two');
    const response = await edge.admin('/v1/events');
    expect(response.headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
    expect(response.headers.get('cache-control')).toBe('no-store');
    add('three');
    const seen = await readUntil(response, 'three');
    expect(seen).toContain('id: 1-1\nevent: down\ndata: {"id":"1-1","at":"1970-01-01T00:00:00.000Z","kind":"down","member":"a:1","epoch":3,"count":null,"message":"one"}\n\n');
    const resumed = await readUntil(await edge.admin('/v1/events', { headers: { 'last-event-id': '1-2' } }), 'three');
    expect(resumed).not.toContain('two');
  });

  test('is served to 32 clients at a time', async () => {
    const streams = await Promise.all(Array.from({ length: 32 }, () => edge.admin('/v1/events')));
    const refused = await edge.admin('/v1/events');
    expect(refused.headers.get('retry-after')).toBe('1');
    expect(await problemOf(refused)).toMatchObject({ code: 'DHT_ERR_OVERLOADED' });
    for (const stream of streams) await stream.body?.cancel();
    for (let i = 0; ; i++) {
      const again = await edge.admin('/v1/events');
      await again.body?.cancel();
      if (again.status === 200) break;
      expect(i).toBeLessThan(100);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  });

  test('cuts a client that does not read', async () => {
    const socket = net.connect(edge.adminPort, '127.0.0.1');
    socket.pause();
    socket.write('GET /v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n');
    const closed = new Promise<void>((resolve) => {
      socket.on('close', () => { resolve(); });
      socket.on('error', () => undefined);
    });
    await new Promise((resolve) => setTimeout(resolve, 100));
    // More than the kernel's buffers take.
    for (let i = 0; i < 400; i++) add('x'.repeat(50_000));
    socket.resume();
    await closed;
  });

  test('answers HEAD without a stream, and 503 before there is a node', async () => {
    expect((await edge.admin('/v1/events', { method: 'HEAD' })).status).toBe(200);
    edge.isStarted = false;
    expect((await edge.admin('/v1/events')).status).toBe(503);
  });
});
