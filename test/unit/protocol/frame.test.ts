import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { encodeMessage, FRAME_LIMITS, decodeMessage } from '../../../src/protocol/codec.ts';
import { FRAME_HEADER_BYTES, FrameDecoder, sealFrame, type FrameResult } from '../../../src/protocol/frame.ts';
import type { PeerMessage } from '../../../src/protocol/message.ts';
import { anyMessage } from './arbitrary-messages.ts';

const PING_TYPE = 0x10;

function stream(messages: readonly PeerMessage[]): Buffer {
  return Buffer.concat(messages.flatMap((message, i) => {
    const outcome = encodeMessage(message, { reqId: i, epoch: 0, deadlineMs: 0 });
    if (outcome.kind !== 'encoded') throw new Error(outcome.detail);
    return [...outcome.chunks];
  }));
}

/** What a decoder says of bytes that come in these pieces. */
function read(pieces: readonly Buffer[]): { messages: PeerMessage[]; last: FrameResult; decoder: FrameDecoder } {
  const decoder = new FrameDecoder(FRAME_LIMITS);
  const messages: PeerMessage[] = [];
  let last: FrameResult = { kind: 'need-more' };
  for (const piece of pieces) {
    decoder.push(Buffer.from(piece));
    for (last = decoder.next(); last.kind === 'frame'; last = decoder.next()) {
      const outcome = decodeMessage(last);
      if (outcome.kind === 'message') messages.push(outcome.message);
    }
  }
  return { messages, last, decoder };
}

function header(change: (header: Buffer) => void, type = PING_TYPE): Buffer {
  const bytes = Buffer.alloc(FRAME_HEADER_BYTES);
  sealFrame(bytes, new Uint8Array(0), type, { reqId: 1, epoch: 2, deadlineMs: 3 });
  change(bytes);
  return bytes;
}

describe('the frame decoder', () => {
  test('finds the same messages at every single split', () => {
    const messages: PeerMessage[] = [
      { kind: 'probe-reply', isAnswered: true },
      { kind: 'notify-reply' },
      { kind: 'body-fetch-reply', isHeld: true, size: 100, body: Buffer.alloc(100, 7) },
      { kind: 'read', epoch: 4, name: 'a name', wantBody: false },
    ];
    const bytes = stream(messages);
    for (let at = 0; at <= bytes.length; at++) {
      expect(read([bytes.subarray(0, at), bytes.subarray(at)]).messages).toEqual(messages);
    }
    expect(read([...bytes].map((byte) => Buffer.from([byte]))).messages).toEqual(messages);
  });

  test('finds the same messages in any pieces', () => {
    fc.assert(fc.property(fc.array(anyMessage, { maxLength: 6 }), fc.array(fc.nat({ max: 300 }), { maxLength: 40 }), (messages, lengths) => {
      const bytes = stream(messages);
      const pieces: Buffer[] = [];
      let at = 0;
      for (const length of lengths) pieces.push(bytes.subarray(at, at += length));
      pieces.push(bytes.subarray(at));
      const { messages: found, last, decoder } = read(pieces);
      expect(found).toEqual(messages);
      expect(last.kind).toBe('need-more');
      expect(decoder.heldBytes).toBe(0);
    }), { numRuns: 300 });
  });

  test('never throws and never finds a message in random bytes', () => {
    fc.assert(fc.property(fc.array(fc.uint8Array({ minLength: 1, maxLength: 200 }), { minLength: 1, maxLength: 5 }), (pieces) => {
      expect(read(pieces.map((piece) => Buffer.from(piece))).messages).toEqual([]);
    }), { numRuns: 2000 });
  });

  test('notices every changed byte', () => {
    const bytes = stream([{ kind: 'read', epoch: 4, name: 'a name', wantBody: false }]);
    for (let at = 0; at < bytes.length; at++) {
      const changed = Buffer.from(bytes);
      changed[at] = (changed[at] ?? 0) ^ 0x41;
      expect(read([changed]).messages).toEqual([]);
    }
  });

  test.each([
    ['magic', header((h) => { h[0] = 0x47; })],
    ['version', header((h) => { h[2] = 9; })],
    ['type', header((h) => { h[3] = 0xee; })],
    ['number', header((h) => { h[8] = 0xff; })],
    ['head-length', header((h) => { h.writeUInt32BE(64 * 1024 + 1, 28); })],
    ['body-length', header((h) => { h.writeUInt32BE(1, 32); })],
    ['body-length', header((h) => { h.writeUInt32BE(0xffff_ffff, 32); }, 0x55)],
    ['crc', header((h) => { h[39] = (h[39] ?? 0) ^ 1; })],
  ])('refuses a frame with a wrong %s, and all that follows', (reason, bytes) => {
    for (const pieces of [[bytes], [bytes.subarray(0, 10), bytes.subarray(10)]]) {
      const { last, decoder } = read([...pieces, stream([{ kind: 'notify-reply' }])]);
      expect(last).toMatchObject({ kind: 'invalid', reason });
      expect(decoder.next()).toMatchObject({ kind: 'invalid', reason });
      expect(decoder.heldBytes).toBe(0);
    }
  });

  test('refuses an HTTP request at its first bytes', () => {
    expect(read([Buffer.from('GET / HTTP/1.1\r\nHost: example.org\r\nAccept: */*\r\n\r\n')]).last).toMatchObject({ kind: 'invalid', reason: 'magic' });
  });

  test('does not let a small body keep a large chunk of the socket alive', () => {
    const chunk = Buffer.alloc(64 * 1024);
    stream([{ kind: 'body-fetch-reply', isHeld: true, size: 10, body: Buffer.alloc(10) }]).copy(chunk);
    const decoder = new FrameDecoder(FRAME_LIMITS);
    decoder.push(chunk);
    const frame = decoder.next();
    expect(frame.kind === 'frame' && frame.body.length === 10 && frame.body.buffer !== chunk.buffer).toBe(true);
  });

  test('hands out a large body without a copy', () => {
    const bytes = stream([{ kind: 'body-fetch-reply', isHeld: true, size: 60_000, body: Buffer.alloc(60_000) }]);
    const decoder = new FrameDecoder(FRAME_LIMITS);
    decoder.push(bytes);
    const frame = decoder.next();
    expect(frame.kind === 'frame' && frame.body.buffer === bytes.buffer).toBe(true);
  });
});
