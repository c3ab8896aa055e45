/**
 * Reads what BinaryWriter wrote, from bytes nobody vouches for: every read is bounds-checked, every count is checked
 * against the bytes that are left before anything is allocated. All failures are DecodeError.
 */
import { HLC_STEPS_PER_MS, type Ballot } from '../domain/ballot.ts';
import type { Epoch, NodeId } from '../domain/ids.ts';
import { EPOCH_MAX } from '../domain/limits.ts';

/** The bytes aren't what they should be. Callers catch exactly this. */
export class DecodeError extends Error {
  override readonly name = 'DecodeError';
}

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

export class BinaryReader {
  readonly #buffer: Buffer;
  #at: number;
  readonly #end: number;

  constructor(buffer: Buffer, start = 0, end = buffer.length) {
    this.#buffer = buffer;
    this.#at = start;
    this.#end = end;
  }

  get remaining(): number {
    return this.#end - this.#at;
  }

  #take(bytes: number): number {
    const at = this.#at;
    if (bytes > this.#end - at) throw new DecodeError(`${bytes} bytes wanted, ${this.#end - at} left`);
    this.#at = at + bytes;
    return at;
  }

  u8(): number {
    return this.#buffer.readUInt8(this.#take(1));
  }

  bool(): boolean {
    const value = this.u8();
    if (value > 1) throw new DecodeError(`${value} is no boolean`);
    return value === 1;
  }

  u16(): number {
    return this.#buffer.readUInt16BE(this.#take(2));
  }

  u32(): number {
    return this.#buffer.readUInt32BE(this.#take(4));
  }

  u64(): number {
    const at = this.#take(8);
    const high = this.#buffer.readUInt32BE(at);
    if (high >= 2 ** 21) throw new DecodeError('integer above 2^53');
    return high * 2 ** 32 + this.#buffer.readUInt32BE(at + 4);
  }

  f64(): number {
    return this.#buffer.readDoubleBE(this.#take(8));
  }

  hex(byteCount: number): string {
    const at = this.#take(byteCount);
    return this.#buffer.toString('hex', at, at + byteCount);
  }

  /** A view of the next bytes, not a copy. */
  raw(byteCount: number): Buffer {
    const at = this.#take(byteCount);
    return this.#buffer.subarray(at, at + byteCount);
  }

  bytes(maxBytes: number): Buffer {
    const length = this.u32();
    if (length > maxBytes) throw new DecodeError(`${length} bytes, at most ${maxBytes} allowed`);
    return this.raw(length);
  }

  text(maxBytes = 0xffff): string {
    const length = this.u16();
    if (length > maxBytes) throw new DecodeError(`text of ${length} bytes, at most ${maxBytes} allowed`);
    const bytes = this.raw(length);
    try {
      return UTF8.decode(bytes);
    } catch {
      throw new DecodeError('text is not UTF-8');
    }
  }

  ballot(): Ballot {
    const epoch = this.epoch();
    const hlc = this.u64();
    if (hlc / HLC_STEPS_PER_MS > 8.64e15) throw new DecodeError('clock out of range');
    return { epoch, hlc, nodeId: this.hex(16) as NodeId };
  }

  epoch(): Epoch {
    const epoch = this.u64();
    if (epoch > EPOCH_MAX) throw new DecodeError(`epoch ${epoch}`);
    return epoch;
  }

  /** `itemBytesMin` (at least 1) bounds the count by the bytes left, before anything is allocated. */
  list<T>(countMax: number, itemBytesMin: number, readItem: (reader: BinaryReader) => T): T[] {
    const count = this.u32();
    if (count > countMax || count * itemBytesMin > this.remaining) throw new DecodeError(`list of ${count} items`);
    const items: T[] = [];
    for (let i = 0; i < count; i++) items.push(readItem(this));
    return items;
  }

  optional<T>(readValue: (reader: BinaryReader) => T): T | null {
    return this.bool() ? readValue(this) : null;
  }

  /** Ends the reading of a fixed layout: trailing bytes are an error. */
  finish(): void {
    if (this.remaining !== 0) throw new DecodeError(`${this.remaining} bytes too many`);
  }
}
