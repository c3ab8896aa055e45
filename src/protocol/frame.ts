/**
 * Frames: how messages are cut out of a byte stream. 40 bytes of header, then the head (small fixed fields), then the
 * body (object bytes, layouts, long lists), big-endian:
 *
 *   magic(2) ver(1) type(1) flags(2) reserved(2) reqId(8) epoch(8) deadlineMs(4) headLen(4) bodyLen(4) crc32(4)
 *
 * The CRC covers header (with the CRC field zero), head and body: TCP's own checksum misses one damaged segment in some
 * ten thousand, and without TLS nothing else would notice. Flags and reserved are written as 0 and not looked at.
 *
 * The decoder takes any split of any bytes. Nothing is allocated before the lengths in the header were held against the
 * limits of the frame's type; it never throws; after the first invalid frame it stays invalid, because a stream that
 * lost its place cannot be trusted to find it again.
 *
 * Cost: a frame that lies whole in one chunk is not copied, except a body that would keep more than BODY_PIN_RATIO times
 * its size of socket buffer alive; a frame across chunks is copied once, into one allocation of its exact size.
 * Source: protocol section G "Frame"; invariant I24.
 */
import { crc32 } from 'node:zlib';

export const FRAME_HEADER_BYTES = 40;

const MAGIC = 0xd470;
const FRAME_VERSION = 1;
const CRC_AT = 36;
const BODY_PIN_RATIO = 4;
const EMPTY = Buffer.alloc(0);

/** Bytes that a frame of one type may have. */
export interface FrameLimits {
  readonly headBytesMax: number;
  readonly bodyBytesMax: number;
}

/** By type number; a type without an entry is invalid. */
export type FrameLimitTable = readonly (FrameLimits | undefined)[];

/** What the header says beside the lengths. */
export interface Envelope {
  /** Correlates a reply with its request; 0 in frames that are neither. */
  readonly reqId: number;
  /** The sender's own persisted epoch. */
  readonly epoch: number;
  /** Milliseconds that the sender will still wait; 0 in frames that are no request. */
  readonly deadlineMs: number;
}

export interface Frame extends Envelope {
  readonly kind: 'frame';
  readonly type: number;
  /** A view into the received bytes: decode it before the next `next()`. */
  readonly head: Buffer;
  /** Belongs to the receiver. Empty when there is none. */
  readonly body: Buffer;
}

export type InvalidReason = 'magic' | 'version' | 'type' | 'number' | 'head-length' | 'body-length' | 'crc';

export type FrameResult =
  | Frame
  /** All whole frames were taken; the rest waits for more bytes. */
  | { readonly kind: 'need-more' }
  /** The stream is no stream of frames: close it. */
  | { readonly kind: 'invalid'; readonly reason: InvalidReason; readonly detail: string };

const NEED_MORE: FrameResult = { kind: 'need-more' };

/**
 * Fills in the header of a frame whose first FRAME_HEADER_BYTES bytes were left free, followed by the head.
 * The caller has checked the lengths against the type's limits.
 */
export function sealFrame(headed: Buffer, body: Uint8Array, type: number, envelope: Envelope): void {
  headed.writeUInt16BE(MAGIC, 0);
  headed[2] = FRAME_VERSION;
  headed[3] = type;
  headed.writeUInt32BE(0, 4);
  writeSafeInteger(headed, envelope.reqId, 8);
  writeSafeInteger(headed, envelope.epoch, 16);
  headed.writeUInt32BE(envelope.deadlineMs, 24);
  headed.writeUInt32BE(headed.length - FRAME_HEADER_BYTES, 28);
  headed.writeUInt32BE(body.length, 32);
  headed.writeUInt32BE(0, CRC_AT);
  const crc = crc32(headed);
  headed.writeUInt32BE(body.length === 0 ? crc : crc32(body, crc), CRC_AT);
}

function writeSafeInteger(buffer: Buffer, value: number, at: number): void {
  buffer.writeUInt32BE(Math.floor(value / 2 ** 32), at);
  buffer.writeUInt32BE(value >>> 0, at + 4);
}

function readInteger(buffer: Buffer, at: number): number {
  return buffer.readUInt32BE(at) * 2 ** 32 + buffer.readUInt32BE(at + 4);
}

export class FrameDecoder {
  readonly #limits: FrameLimitTable;
  /** Received and not yet looked at; more than one only while the owner doesn't ask for frames. */
  readonly #chunks: Buffer[] = [];
  #at = 0;
  #heldBytes = 0;
  /** A header cut by the end of a chunk. */
  readonly #header = Buffer.allocUnsafe(FRAME_HEADER_BYTES);
  #headerFilled = 0;
  /** A frame cut by the end of a chunk, after its header was checked. */
  #partial: Buffer | null = null;
  #partialFilled = 0;
  #failure: FrameResult | null = null;

  constructor(limits: FrameLimitTable) {
    this.#limits = limits;
  }

  /** Bytes taken in and not yet handed out. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** Takes bytes over; they must not be used by the caller any more. */
  push(chunk: Buffer): void {
    if (chunk.length === 0 || this.#failure !== null) return;
    this.#chunks.push(chunk);
    this.#heldBytes += chunk.length;
  }

  /** The next whole frame, or why there is none. */
  next(): FrameResult {
    if (this.#failure !== null) return this.#failure;
    for (;;) {
      const chunk = this.#chunks[0];
      if (chunk === undefined) return NEED_MORE;
      const available = chunk.length - this.#at;
      if (this.#partial !== null) {
        const wanted = this.#partial.length - this.#partialFilled;
        this.#partialFilled += this.#copy(chunk, this.#partial, this.#partialFilled, Math.min(wanted, available));
        if (this.#partialFilled < this.#partial.length) continue;
        const whole = this.#partial;
        this.#partial = null;
        return this.#frame(whole, true);
      }
      if (this.#headerFilled > 0 || available < FRAME_HEADER_BYTES) {
        const wanted = FRAME_HEADER_BYTES - this.#headerFilled;
        this.#headerFilled += this.#copy(chunk, this.#header, this.#headerFilled, Math.min(wanted, available));
        if (this.#headerFilled < FRAME_HEADER_BYTES) continue;
        const bytes = this.#frameBytes(this.#header, 0);
        if (bytes === null) break;
        this.#headerFilled = 0;
        const partial = Buffer.allocUnsafeSlow(bytes);
        this.#header.copy(partial);
        if (bytes === FRAME_HEADER_BYTES) return this.#frame(partial, true);
        this.#partial = partial;
        this.#partialFilled = FRAME_HEADER_BYTES;
        continue;
      }
      const bytes = this.#frameBytes(chunk, this.#at);
      if (bytes === null) break;
      if (available < bytes) {
        this.#partial = Buffer.allocUnsafeSlow(bytes);
        this.#partialFilled = 0;
        continue;
      }
      const whole = chunk.subarray(this.#at, this.#at + bytes);
      this.#advance(chunk, bytes);
      return this.#frame(whole, false);
    }
    return this.#failure ?? NEED_MORE;
  }

  #copy(chunk: Buffer, target: Buffer, targetAt: number, bytes: number): number {
    chunk.copy(target, targetAt, this.#at, this.#at + bytes);
    this.#advance(chunk, bytes);
    return bytes;
  }

  #advance(chunk: Buffer, bytes: number): void {
    this.#at += bytes;
    this.#heldBytes -= bytes;
    if (this.#at < chunk.length) return;
    this.#chunks.shift();
    this.#at = 0;
  }

  /** Checks the header and returns the bytes of the whole frame; null: invalid. */
  #frameBytes(buffer: Buffer, at: number): number | null {
    if (buffer.readUInt16BE(at) !== MAGIC) return this.#fail('magic', `the bytes ${buffer.toString('hex', at, at + 4)} begin no frame`);
    if (buffer[at + 2] !== FRAME_VERSION) return this.#fail('version', `frame version ${buffer[at + 2]}`);
    const type = buffer[at + 3] ?? 0;
    const limits = this.#limits[type];
    if (limits === undefined) return this.#fail('type', `frame type ${type}`);
    // Integers above 2^53 would lose digits.
    if (buffer.readUInt32BE(at + 8) >= 2 ** 21 || buffer.readUInt32BE(at + 16) >= 2 ** 21) return this.#fail('number', 'integer above 2^53');
    const headBytes = buffer.readUInt32BE(at + 28);
    const bodyBytes = buffer.readUInt32BE(at + 32);
    if (headBytes > limits.headBytesMax) return this.#fail('head-length', `head of ${headBytes} bytes in a frame of type ${type}`);
    if (bodyBytes > limits.bodyBytesMax) return this.#fail('body-length', `body of ${bodyBytes} bytes in a frame of type ${type}`);
    return FRAME_HEADER_BYTES + headBytes + bodyBytes;
  }

  #frame(whole: Buffer, isOwnAllocation: boolean): FrameResult {
    const crc = whole.readUInt32BE(CRC_AT);
    whole.writeUInt32BE(0, CRC_AT);
    if (crc32(whole) !== crc) {
      this.#fail('crc', 'the checksum of the frame is wrong');
      return this.#failure ?? NEED_MORE;
    }
    const bodyAt = FRAME_HEADER_BYTES + whole.readUInt32BE(28);
    return {
      kind: 'frame',
      type: whole[3] ?? 0,
      reqId: readInteger(whole, 8),
      epoch: readInteger(whole, 16),
      deadlineMs: whole.readUInt32BE(24),
      head: whole.subarray(FRAME_HEADER_BYTES, bodyAt),
      body: bodyAt === whole.length ? EMPTY : bodyOf(whole, bodyAt, isOwnAllocation),
    };
  }

  #fail(reason: InvalidReason, detail: string): null {
    this.#failure = { kind: 'invalid', reason, detail };
    this.#chunks.length = 0;
    this.#heldBytes = 0;
    this.#partial = null;
    return null;
  }
}

function bodyOf(whole: Buffer, bodyAt: number, isOwnAllocation: boolean): Buffer {
  const body = whole.subarray(bodyAt);
  if (isOwnAllocation || body.length * BODY_PIN_RATIO >= body.buffer.byteLength) return body;
  const copy = Buffer.allocUnsafe(body.length);
  body.copy(copy);
  return copy;
}
