/**
 * Appends fixed-layout binary fields to one growing buffer. Big-endian, no tags: the reader has to know the layout.
 * Integers above 32 bits are safe integers in 8 bytes (the upper 11 bits are zero). One allocation in the usual case.
 */
import type { Ballot } from '../domain/ballot.ts';

export class BinaryWriter {
  #buffer: Buffer;
  #length = 0;

  constructor(initialBytes = 256) {
    this.#buffer = Buffer.allocUnsafe(initialBytes);
  }

  get length(): number {
    return this.#length;
  }

  #room(bytes: number): number {
    const at = this.#length;
    const end = at + bytes;
    if (end > this.#buffer.length) {
      const grown = Buffer.allocUnsafe(Math.max(end, this.#buffer.length * 2));
      this.#buffer.copy(grown, 0, 0, at);
      this.#buffer = grown;
    }
    this.#length = end;
    return at;
  }

  u8(value: number): void {
    const at = this.#room(1);
    this.#buffer[at] = value;
  }

  bool(value: boolean): void {
    this.u8(value ? 1 : 0);
  }

  u16(value: number): void {
    const at = this.#room(2);
    this.#buffer.writeUInt16BE(value, at);
  }

  u32(value: number): void {
    const at = this.#room(4);
    this.#buffer.writeUInt32BE(value, at);
  }

  /** A safe non-negative integer in 8 bytes. */
  u64(value: number): void {
    const at = this.#room(8);
    this.#buffer.writeUInt32BE(Math.floor(value / 2 ** 32), at);
    this.#buffer.writeUInt32BE(value >>> 0, at + 4);
  }

  f64(value: number): void {
    const at = this.#room(8);
    this.#buffer.writeDoubleBE(value, at);
  }

  /** Hex digits as raw bytes; `byteCount` is fixed by the layout (16 for ids, 20 for keys, 32 for SHA-256). */
  hex(value: string, byteCount: number): void {
    const at = this.#room(byteCount);
    const written = this.#buffer.write(value, at, byteCount, 'hex');
    if (written !== byteCount || value.length !== byteCount * 2) throw new RangeError(`not ${byteCount} bytes of hex: ${value}`);
  }

  /** Raw bytes without a length. */
  raw(bytes: Uint8Array): void {
    const at = this.#room(bytes.length);
    this.#buffer.set(bytes, at);
  }

  /** Bytes behind a 32-bit length. */
  bytes(bytes: Uint8Array): void {
    this.u32(bytes.length);
    this.raw(bytes);
  }

  /** UTF-8 behind a 16-bit length. */
  text(value: string): void {
    const bytes = Buffer.byteLength(value, 'utf8');
    if (bytes > 0xffff) throw new RangeError(`text of ${bytes} bytes is longer than 65535`);
    this.u16(bytes);
    const at = this.#room(bytes);
    this.#buffer.write(value, at, bytes, 'utf8');
  }

  ballot(value: Ballot): void {
    this.u64(value.epoch);
    this.u64(value.hlc);
    this.hex(value.nodeId, 16);
  }

  /** A 32-bit count, then each item. */
  list<T>(items: readonly T[], writeItem: (writer: BinaryWriter, item: T) => void): void {
    this.u32(items.length);
    for (const item of items) writeItem(this, item);
  }

  /** A presence byte, then the value. */
  optional<T>(value: T | null, writeValue: (writer: BinaryWriter, value: T) => void): void {
    this.bool(value !== null);
    if (value !== null) writeValue(this, value);
  }

  /** Takes back everything from `length` on; the memory is used again. */
  rewind(length: number): void {
    if (length > this.#length) throw new RangeError(`cannot rewind from ${this.#length} to ${length}`);
    this.#length = length;
  }

  /** Overwrites 4 bytes that were written before. */
  patchU32(at: number, value: number): void {
    if (at + 4 > this.#length) throw new RangeError(`nothing was written at ${at}`);
    this.#buffer.writeUInt32BE(value, at);
  }

  /** The bytes written from `from` on, for a checksum; valid until the next write. */
  view(from: number): Buffer {
    return this.#buffer.subarray(from, this.#length);
  }

  /** What was written so far; shares memory with the writer, which must not be used until those bytes are done with. */
  finish(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }
}
