/**
 * The decoder of peer frames, and what is inside them, under damage that random bytes don't reach: valid streams changed in
 * places and cut anywhere, frames whose checksum is right and whose content isn't, counts and lengths that promise more
 * than there is. It never throws, always ends, and holds no more than what it was given (invariant I24).
 */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { Ballot } from '../../src/domain/ballot.ts';
import type { BodyId, NodeId } from '../../src/domain/ids.ts';
import { OBJECT_BYTES_MAX } from '../../src/domain/limits.ts';
import { BinaryReader, DecodeError } from '../../src/encoding/binary-reader.ts';
import { BinaryWriter } from '../../src/encoding/binary-writer.ts';
import { readLayout, writeLayout } from '../../src/encoding/layout-encoding.ts';
import { readRecord, writeRecord } from '../../src/encoding/record-encoding.ts';
import { decodeMessage, encodeMessage, FRAME_LIMITS } from '../../src/protocol/codec.ts';
import { FRAME_HEADER_BYTES, FrameDecoder, sealFrame } from '../../src/protocol/frame.ts';
import type { PeerMessage } from '../../src/protocol/message.ts';
import { anyMessage, messageByKind } from '../unit/protocol/arbitrary-messages.ts';

const ENVELOPE = { reqId: 1, epoch: 1, deadlineMs: 1 };

function bytesOf(message: PeerMessage): Buffer {
  const outcome = encodeMessage(message, ENVELOPE);
  if (outcome.kind !== 'encoded') throw new Error(outcome.detail);
  return Buffer.concat([...outcome.chunks]);
}

/** Feeds the pieces as a connection does; returns what was decoded and how it ended. */
function read(pieces: readonly Buffer[]): { messages: PeerMessage[]; frames: number; isInvalid: boolean } {
  const decoder = new FrameDecoder(FRAME_LIMITS);
  const messages: PeerMessage[] = [];
  let frames = 0;
  let given = 0;
  for (const piece of pieces) {
    decoder.push(Buffer.from(piece));
    given += piece.length;
    for (let turns = 0; ; turns++) {
      // A frame takes its header at least, so there are only so many of them in what was given.
      expect(turns).toBeLessThanOrEqual(given / FRAME_HEADER_BYTES + 1);
      const result = decoder.next();
      expect(decoder.heldBytes).toBeLessThanOrEqual(given);
      if (result.kind === 'invalid') return { messages, frames, isInvalid: true };
      if (result.kind === 'need-more') break;
      frames += 1;
      const outcome = decodeMessage(result);
      if (outcome.kind === 'message') messages.push(outcome.message);
    }
  }
  return { messages, frames, isInvalid: false };
}

function cut(bytes: Buffer, lengths: readonly number[]): Buffer[] {
  const pieces: Buffer[] = [];
  let at = 0;
  for (const length of lengths) pieces.push(bytes.subarray(at, at += length));
  return [...pieces, bytes.subarray(at)];
}

interface Damage {
  readonly kind: 'flip' | 'cut' | 'insert' | 'repeat';
  readonly at: number;
  readonly bytes: Uint8Array;
}
const damage = fc.record<Damage>({ kind: fc.constantFrom('flip', 'cut', 'insert', 'repeat'), at: fc.nat(), bytes: fc.uint8Array({ minLength: 1, maxLength: 50 }) });

function damaged(bytes: Buffer, { kind, at, bytes: extra }: Damage): Buffer {
  const from = at % (bytes.length + 1);
  switch (kind) {
    case 'flip': {
      const copy = Buffer.from(bytes);
      for (const [i, byte] of extra.entries()) if (from + i < copy.length) copy[from + i] = (copy[from + i] ?? 0) ^ byte;
      return copy;
    }
    case 'cut': return Buffer.concat([bytes.subarray(0, from), bytes.subarray(from + extra.length)]);
    case 'insert': return Buffer.concat([bytes.subarray(0, from), extra, bytes.subarray(from)]);
    default: return Buffer.concat([bytes.subarray(0, from), bytes.subarray(Math.max(0, from - extra.length))]);
  }
}

describe('a damaged stream', () => {
  test('gives the messages before the damage, however it comes in pieces, and then nothing that was not sent', () => {
    fc.assert(fc.property(fc.array(anyMessage, { minLength: 1, maxLength: 5 }), fc.array(damage, { minLength: 1, maxLength: 3 }), fc.array(fc.nat(200), { maxLength: 30 }), (messages, damages, lengths) => {
      const whole = messages.map(bytesOf);
      const stream = damages.reduce(damaged, Buffer.concat(whole));
      const { messages: found } = read(cut(stream, lengths));
      let intact = 0;
      for (let end = 0; intact < whole.length; intact++) {
        const next = whole[intact] as Buffer;
        if (!stream.subarray(end, end + next.length).equals(next)) break;
        end += next.length;
      }
      expect(found.slice(0, intact)).toEqual(messages.slice(0, intact));
      const sent = new Set(whole.map((bytes) => bytes.toString('latin1')));
      for (const message of found) expect(sent.has(bytesOf(message).toString('latin1'))).toBe(true);
    }), { numRuns: 600 });
  });
});

describe('a frame whose checksum is right', () => {
  test('may hold anything: it is a message or malformed, and a message is encoded again as one', () => {
    fc.assert(fc.property(anyMessage, fc.array(damage, { minLength: 1, maxLength: 3 }), fc.boolean(), (message, damages, isHead) => {
      const bytes = bytesOf(message);
      const type = bytes[3] ?? 0;
      const headBytes = bytes.readUInt32BE(28);
      let head = bytes.subarray(FRAME_HEADER_BYTES, FRAME_HEADER_BYTES + headBytes);
      let body = bytes.subarray(FRAME_HEADER_BYTES + headBytes);
      if (isHead) head = damages.reduce(damaged, head);
      else body = damages.reduce(damaged, body);
      const headed = Buffer.concat([Buffer.alloc(FRAME_HEADER_BYTES), head]);
      sealFrame(headed, body, type, ENVELOPE);
      const { messages, frames, isInvalid } = read([Buffer.concat([headed, body])]);
      expect(frames + Number(isInvalid)).toBe(1);
      for (const found of messages) if (encodeMessage(found, ENVELOPE).kind === 'encoded') expect(read([bytesOf(found)]).messages).toEqual([found]);
    }), { numRuns: 3000 });
  });

  test.each(Object.entries(messageByKind))('costs little time and memory whatever it promises: %s', (_kind, arbitrary) => {
    const type = bytesOf(fc.sample(arbitrary, { numRuns: 1, seed: 2 })[0] as PeerMessage)[3] ?? 0;
    const limits = FRAME_LIMITS[type];
    for (const fill of [0x00, 0x01, 0x7f, 0xff]) {
      const head = Buffer.alloc(limits?.headBytesMax ?? 0, fill);
      const body = Buffer.alloc(limits?.bodyBytesMax ?? 0, fill);
      const beganAt = performance.now();
      const before = process.memoryUsage();
      const outcome = decodeMessage({ kind: 'frame', ...ENVELOPE, type, head, body });
      const after = process.memoryUsage();
      expect(['message', 'malformed']).toContain(outcome.kind);
      // A list's items are objects of some hundred bytes each for at least a byte on the wire.
      expect(after.heapUsed + after.arrayBuffers - before.heapUsed - before.arrayBuffers).toBeLessThan(400 * (head.length + body.length) + 8 * 2 ** 20);
      expect(performance.now() - beganAt).toBeLessThan(5_000);
    }
  });
});

describe('what the store can not keep', () => {
  const high = { epoch: 2 ** 32, hlc: 1, nodeId: 'a'.repeat(32) as NodeId };
  const low = { ...high, epoch: 2 ** 32 - 1 };
  const object = (version: Ballot, size: number): PeerMessage => ({
    kind: 'accept', epoch: 1, name: 'a', ballot: low, holders: [],
    record: { kind: 'object', version, lineageFloor: low, ops: [], body: { bodyId: 'b'.repeat(32) as BodyId, size, sha256: 'c'.repeat(64), where: 'file', chunkCrcs: [] }, contentType: '', meta: [], createdMs: 1 },
  });
  const prepare = (ballot: Ballot): PeerMessage => ({ kind: 'prepare', epoch: 1, name: 'a', ballot, staged: null, body: null });

  test('is taken up to its limit, and malformed above: epochs of four bytes, bodies of 5 TiB', () => {
    for (const message of [prepare(low), object(low, OBJECT_BYTES_MAX)]) expect(read([bytesOf(message)]).messages).toEqual([message]);
    for (const message of [prepare(high), object(high, 1), object(low, OBJECT_BYTES_MAX + 1)]) expect(read([bytesOf(message)])).toEqual({ messages: [], frames: 1, isInvalid: false });
  });
});

/** Values as they are in messages, so that there is one arbitrary for each. */
const record = messageByKind.accept.map((message) => (message.kind === 'accept' ? message.record : null)).filter((value) => value !== null);
const layout = messageByKind['layout-announce'].map((message) => (message.kind === 'layout-announce' ? message.layout : null)).filter((value) => value !== null);

describe.each([
  ['a record', record, writeRecord, readRecord],
  ['a layout', layout, writeLayout, readLayout],
] as const)('%s as bytes', (_what, arbitrary, write, decode) => {
  const encode = (value: unknown): Buffer => {
    const writer = new BinaryWriter();
    (write as (to: BinaryWriter, value: unknown) => void)(writer, value);
    return Buffer.from(writer.finish());
  };
  const tryDecode = (bytes: Buffer): unknown => {
    const reader = new BinaryReader(bytes);
    try {
      return decode(reader);
    } catch (error) {
      if (error instanceof DecodeError) return null;
      throw error;
    }
  };

  test('comes back, leaves what is behind it alone, and is refused when any end of it is missing', () => {
    fc.assert(fc.property(arbitrary as fc.Arbitrary<unknown>, fc.uint8Array({ maxLength: 9 }), (value, behind) => {
      const bytes = encode(value);
      const reader = new BinaryReader(Buffer.concat([bytes, behind]));
      expect(decode(reader)).toEqual(value);
      expect(reader.remaining).toBe(behind.length);
      for (let end = 0; end < bytes.length; end += 1 + Math.floor(bytes.length / 60)) expect(tryDecode(bytes.subarray(0, end))).toBeNull();
    }), { numRuns: 200 });
  });

  test('is another value or refused when it is damaged, never an exception of another kind', () => {
    fc.assert(fc.property(arbitrary as fc.Arbitrary<unknown>, fc.array(damage, { minLength: 1, maxLength: 2 }), (value, damages) => {
      const found = tryDecode(damages.reduce(damaged, encode(value)));
      if (found !== null) expect(tryDecode(encode(found))).toEqual(found);
    }), { numRuns: 2000 });
  });
});
