/**
 * The bytes of peer protocol version 1, for ever: what this version says is still read, and still said with the same
 * bytes. When a message changes, the protocol version grows and this file stays. A new kind of message adds a line.
 */
import { describe, expect, test } from '@jest/globals';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { decodeMessage, encodeMessage, FRAME_LIMITS } from '../../src/protocol/codec.ts';
import { FrameDecoder, type Frame } from '../../src/protocol/frame.ts';
import { decodeHello, encodeHello, encodeRefusal } from '../../src/protocol/hello.ts';
import type { PeerMessage } from '../../src/protocol/message.ts';
import { messageByKind } from '../unit/protocol/arbitrary-messages.ts';

/** Kind -> frame as hex, three of each kind; `hello` and `refusal` beside them. */
const golden = JSON.parse(readFileSync(path.join(import.meta.dirname, 'wire-v1.json'), 'utf8')) as Readonly<Record<string, readonly string[]>>;

const ENVELOPE = { reqId: 5, epoch: 9, deadlineMs: 1234 };

function frameOf(hex: string): Frame {
  const decoder = new FrameDecoder(FRAME_LIMITS);
  decoder.push(Buffer.from(hex, 'hex'));
  const frame = decoder.next();
  if (frame.kind !== 'frame') throw new Error(JSON.stringify(frame));
  return frame;
}

function hexOf(message: PeerMessage): string {
  const outcome = encodeMessage(message, ENVELOPE);
  if (outcome.kind !== 'encoded') throw new Error(outcome.detail);
  return Buffer.concat(outcome.chunks).toString('hex');
}

describe('protocol version 1', () => {
  test('has bytes here for every kind of message', () => {
    expect(Object.keys(golden).sort()).toEqual([...Object.keys(messageByKind), 'hello', 'refusal'].sort());
  });

  test.each(Object.keys(messageByKind))('reads %s, and writes it with the same bytes', (kind) => {
    for (const hex of golden[kind] ?? []) {
      const frame = frameOf(hex);
      expect(frame).toMatchObject(ENVELOPE);
      const outcome = decodeMessage(frame);
      if (outcome.kind !== 'message') throw new Error(outcome.detail);
      expect(outcome.message.kind).toBe(kind);
      expect(hexOf(outcome.message)).toBe(hex);
    }
  });

  test('reads HELLO and refusals, and writes them with the same bytes', () => {
    for (const hex of golden['hello'] ?? []) {
      const outcome = decodeHello(frameOf(hex));
      expect(outcome.kind === 'hello' && encodeHello(outcome.hello).toString('hex')).toBe(hex);
    }
    for (const hex of golden['refusal'] ?? []) {
      const outcome = decodeHello(frameOf(hex));
      expect(outcome.kind === 'refusal' && encodeRefusal(outcome.refusal).toString('hex')).toBe(hex);
    }
  });

  test('a READ is these fields, in words', () => {
    const frame = [
      'd470', '01', '44', '0000', '0000', '0000000000000005', '0000000000000009', '000004d2', '0000000d', '00000000', // header
      '........', // crc32
      '0000000000000003', '0002', '6869', '01', // epoch, name, wantBody
    ];
    expect(hexOf({ kind: 'read', epoch: 3, name: 'hi', wantBody: true })).toMatch(new RegExp(`^${frame.join('')}$`));
  });
});
