import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { ZERO_BALLOT } from '../../../src/domain/ballot.ts';
import type { BodyId } from '../../../src/domain/ids.ts';
import { FRAME_BODY_BYTES_MAX, INLINE_BODY_BYTES_MAX, NAME_BYTES_MAX } from '../../../src/domain/limits.ts';
import { decodeMessage, encodeMessage, FRAME_LIMITS, isReplyTo, isRequest, REQUEST_KINDS } from '../../../src/protocol/codec.ts';
import { FRAME_HEADER_BYTES, FrameDecoder, sealFrame, type Frame } from '../../../src/protocol/frame.ts';
import { LISTED_BYTES_MAX, listedEntryBytes } from '../../../src/protocol/list-codec.ts';
import type { ListedEntry, PeerMessage } from '../../../src/protocol/message.ts';
import { anyEnvelope, anyMessage, messageByKind } from './arbitrary-messages.ts';

const ENVELOPE = { reqId: 7, epoch: 3, deadlineMs: 250 };

function bytesOf(message: PeerMessage, envelope = ENVELOPE): Buffer {
  const outcome = encodeMessage(message, envelope);
  if (outcome.kind !== 'encoded') throw new Error(outcome.detail);
  const bytes = Buffer.concat(outcome.chunks);
  expect(bytes.length).toBe(outcome.bytes);
  return bytes;
}

function frameOf(bytes: Buffer): Frame {
  const decoder = new FrameDecoder(FRAME_LIMITS);
  decoder.push(Buffer.from(bytes));
  const frame = decoder.next();
  if (frame.kind !== 'frame') throw new Error(JSON.stringify(frame));
  return frame;
}

describe('the codec', () => {
  test.each(Object.entries(messageByKind))('gives back every %s as it was, with its envelope', (_kind, arbitrary) => {
    fc.assert(fc.property(arbitrary, anyEnvelope, (message, envelope) => {
      const frame = frameOf(bytesOf(message, envelope));
      expect({ reqId: frame.reqId, epoch: frame.epoch, deadlineMs: frame.deadlineMs }).toEqual(envelope);
      expect(decodeMessage(frame)).toEqual({ kind: 'message', message });
    }), { numRuns: 40 });
  });

  test('has one type number for each kind', () => {
    const types = Object.values(messageByKind).map((arbitrary) => frameOf(bytesOf(fc.sample(arbitrary, { numRuns: 1, seed: 1 })[0]!)).type);
    expect(new Set(types).size).toBe(types.length);
  });

  test('skips fields that a newer version appended to a head', () => {
    fc.assert(fc.property(anyMessage, fc.uint8Array({ minLength: 1, maxLength: 20 }), (message, extra) => {
      const { head, body, type } = frameOf(bytesOf(message));
      const longer = Buffer.concat([Buffer.alloc(FRAME_HEADER_BYTES), head, extra]);
      sealFrame(longer, body, type, ENVELOPE);
      expect(decodeMessage(frameOf(Buffer.concat([longer, body])))).toEqual({ kind: 'message', message });
    }), { numRuns: 200 });
  });

  test('calls a head that lacks its last byte malformed', () => {
    const { head, body, type } = frameOf(bytesOf({ kind: 'read', epoch: 1, name: 'a', wantBody: true }));
    expect(decodeMessage({ kind: 'frame', ...ENVELOPE, type, head: head.subarray(0, -1), body })).toMatchObject({ kind: 'malformed' });
  });

  test('never throws, whatever the head and the body', () => {
    const types = FRAME_LIMITS.flatMap((limits, type) => (limits === undefined ? [] : [type]));
    fc.assert(fc.property(fc.constantFrom(...types), fc.uint8Array({ maxLength: 300 }), fc.uint8Array({ maxLength: 300 }), (type, head, body) => {
      const outcome = decodeMessage({ kind: 'frame', ...ENVELOPE, type, head: Buffer.from(head), body: Buffer.from(body) });
      expect(['message', 'malformed']).toContain(outcome.kind);
    }), { numRuns: 3000 });
  });

  test('never throws on a message with one changed byte', () => {
    fc.assert(fc.property(anyMessage, fc.nat(), fc.nat({ max: 255 }), (message, at, value) => {
      const { head, body, type } = frameOf(bytesOf(message));
      const changed = Buffer.concat([head, body]);
      if (changed.length > 0) changed[at % changed.length] = value;
      const outcome = decodeMessage({ kind: 'frame', ...ENVELOPE, type, head: changed.subarray(0, head.length), body: changed.subarray(head.length) });
      expect(['message', 'malformed']).toContain(outcome.kind);
    }), { numRuns: 2000 });
  });

  test('keeps an empty body apart from an absent one', () => {
    const staged = { bodyId: '1'.repeat(32) as BodyId, sha256: '2'.repeat(64) };
    const empty = decodeMessage(frameOf(bytesOf({ kind: 'prepare', epoch: 1, name: 'a', ballot: ZERO_BALLOT, staged, body: Buffer.alloc(0) })));
    expect(empty).toMatchObject({ message: { staged, body: Buffer.alloc(0) } });
    const absent = decodeMessage(frameOf(bytesOf({ kind: 'prepare', epoch: 1, name: 'a', ballot: ZERO_BALLOT, staged: null, body: null })));
    expect(absent).toMatchObject({ message: { staged: null, body: null } });
  });

  test('does not send what does not fit a frame', () => {
    const body = Buffer.alloc(INLINE_BODY_BYTES_MAX + 1);
    const staged = { bodyId: '1'.repeat(32) as BodyId, sha256: '2'.repeat(64) };
    expect(encodeMessage({ kind: 'prepare', epoch: 1, name: 'a', ballot: ZERO_BALLOT, staged, body }, ENVELOPE).kind).toBe('too-large');
    expect(encodeMessage({ kind: 'prepare', epoch: 1, name: 'a', ballot: ZERO_BALLOT, staged, body: body.subarray(1) }, ENVELOPE).kind).toBe('encoded');
  });

  test('sends a body of a whole frame as it is, without a copy', () => {
    const body = Buffer.alloc(FRAME_BODY_BYTES_MAX, 9);
    const outcome = encodeMessage({ kind: 'stage', name: 'a', bodyId: '1'.repeat(32) as BodyId, offset: 0, body }, ENVELOPE);
    expect(outcome.kind === 'encoded' && outcome.chunks[1] === body).toBe(true);
    expect(encodeMessage({ kind: 'stage', name: 'a', bodyId: '1'.repeat(32) as BodyId, offset: 0, body: Buffer.alloc(FRAME_BODY_BYTES_MAX + 1) }, ENVELOPE).kind).toBe('too-large');
    expect(encodeMessage({ kind: 'body-fetch-reply', isHeld: true, size: 5, body }, ENVELOPE).kind).toBe('encoded');
  });

  test.each([1, 7, NAME_BYTES_MAX])('fits a listing whose names have %i bytes when its entries fit by their size, and no more', (nameBytes) => {
    const entry: ListedEntry = { name: 'n'.repeat(nameBytes), accepted: ZERO_BALLOT, version: ZERO_BALLOT, recordKind: 'object', size: 1 };
    const entries = new Array<ListedEntry>(Math.floor(LISTED_BYTES_MAX / listedEntryBytes(entry))).fill(entry);
    const message: PeerMessage = { kind: 'list-reply', epoch: 1, entries, isLast: false };
    expect(decodeMessage(frameOf(bytesOf(message)))).toEqual({ kind: 'message', message });
    expect(encodeMessage({ ...message, entries: [...entries, entry] }, ENVELOPE).kind).toBe('too-large');
  });

  test('tells how far a body was pulled only while it is being pulled, so that other answers stay as they were', () => {
    const reply = (state: 'accepted' | 'body-pulling'): PeerMessage => ({ kind: 'accept-reply', epoch: 1, state, pulledBytes: 77, promised: ZERO_BALLOT });
    expect(decodeMessage(frameOf(bytesOf(reply('body-pulling'))))).toMatchObject({ message: { pulledBytes: 77 } });
    expect(decodeMessage(frameOf(bytesOf(reply('accepted'))))).toMatchObject({ message: { pulledBytes: 0 } });
    expect(bytesOf(reply('body-pulling')).length - bytesOf(reply('accepted')).length).toBe(8);
  });

  test('takes an error code that only a newer version knows for an internal error', () => {
    const fault = { kind: 'fault', code: 'DHT_ERR_OF_TOMORROW', detail: 'd' } as unknown as PeerMessage;
    expect(decodeMessage(frameOf(bytesOf(fault)))).toEqual({ kind: 'message', message: { kind: 'fault', code: 'DHT_ERR_INTERNAL', detail: 'd' } });
  });

  test('knows requests from replies, and which reply belongs to which request', () => {
    fc.assert(fc.property(anyMessage, (message) => {
      expect(isRequest(message)).toBe((REQUEST_KINDS as readonly string[]).includes(message.kind));
      expect(isReplyTo('read', message)).toBe(['read-reply', 'stale-epoch', 'fault'].includes(message.kind));
    }));
  });
});
