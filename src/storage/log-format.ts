/**
 * Bytes of the log, format version 1.
 *
 *   segment  = header (64) batch* zeros*
 *   header   = magic 8 | crc 4 | version 4 | segment number 4 | M 4 | position 8 | sequence 8 | nodeId 16 | zeros 8
 *   batch    = header (48) record*
 *   header   = magic 4 | crc 4 | segment number 4 | record count 4 | sequence 8 | position 8 | durable position 8 |
 *              payload bytes 4 | zeros 4
 *   record   = crc 4 | type 1 | has body 1 | meta bytes 4 | meta | body?
 *   body     = crc 4 | bytes 4 | bytes
 *
 * A *position* counts the bytes of batches ever appended, over all segments: one number that only grows, also when old
 * segments go. A batch says up to which position everything was durable when it was written, which tells a torn tail from
 * rot. The CRCs of headers are salted with a secret of the directory: nobody can store an object that looks like a batch.
 * Each record and each body has its own CRC, so that one positioned read is enough to serve it; there is no second CRC over
 * a batch, for its records cover every byte. Integers are big-endian, CRCs are CRC32 (IEEE).
 * Source: protocol sections F.2 and R16.
 */
import { crc32 } from 'node:zlib';
import { BinaryWriter } from '../encoding/binary-writer.ts';

export const LOG_FORMAT_VERSION = 1;
export const SEGMENT_HEADER_BYTES = 64;
export const BATCH_HEADER_BYTES = 48;
export const RECORD_HEADER_BYTES = 10;
export const BODY_PREFIX_BYTES = 8;
export const SALT_BYTES = 8;
/** In place of a body's position: it is in a file of its own. Positions this low are inside the first batch's header. */
export const BODY_IN_FILE = 1;
/** Bytes of a batch from which on it takes no more bodies: 500 of the largest ones wait while one sync runs. */
export const BATCH_BYTES_MAX = 64 * 1024 * 1024;

const SEGMENT_MAGIC = Buffer.from('dhtlog\r\n', 'latin1');
export const BATCH_MAGIC = Buffer.from([0xd4, 0x17, 0xba, 0x7c]);
const SEGMENT_CRC_FROM = 12;
const BATCH_CRC_FROM = 8;

export interface SegmentHeader {
  readonly number: number;
  readonly keyBits: number;
  /** Position of the first batch, and its sequence number. */
  readonly position: number;
  readonly sequence: number;
  readonly nodeId: string;
}

export interface BatchHeader {
  readonly segment: number;
  readonly count: number;
  readonly sequence: number;
  readonly position: number;
  readonly durablePosition: number;
  readonly payloadBytes: number;
}

export type SegmentHeaderOutcome =
  | { readonly kind: 'header'; readonly header: SegmentHeader }
  | { readonly kind: 'newer'; readonly version: number }
  | { readonly kind: 'invalid' };

function saltedCrc(salt: Buffer, bytes: Buffer): number {
  return crc32(bytes, crc32(salt));
}

export function segmentHeaderBytes(header: SegmentHeader, salt: Buffer): Buffer {
  const writer = new BinaryWriter(SEGMENT_HEADER_BYTES);
  writer.raw(SEGMENT_MAGIC);
  writer.u32(0);
  writer.u32(LOG_FORMAT_VERSION);
  writer.u32(header.number);
  writer.u32(header.keyBits);
  writer.u64(header.position);
  writer.u64(header.sequence);
  writer.hex(header.nodeId, 16);
  writer.u64(0);
  writer.patchU32(SEGMENT_CRC_FROM - 4, saltedCrc(salt, writer.view(SEGMENT_CRC_FROM)));
  return writer.finish();
}

export function parseSegmentHeader(bytes: Buffer, salt: Buffer): SegmentHeaderOutcome {
  if (bytes.length < SEGMENT_HEADER_BYTES || bytes.compare(SEGMENT_MAGIC, 0, 8, 0, 8) !== 0) return { kind: 'invalid' };
  const crc = saltedCrc(salt, bytes.subarray(SEGMENT_CRC_FROM, SEGMENT_HEADER_BYTES));
  if (bytes.readUInt32BE(SEGMENT_CRC_FROM - 4) !== crc) return { kind: 'invalid' };
  const version = bytes.readUInt32BE(12);
  if (version > LOG_FORMAT_VERSION) return { kind: 'newer', version };
  return {
    kind: 'header',
    header: {
      number: bytes.readUInt32BE(16), keyBits: bytes.readUInt32BE(20), position: readU64(bytes, 24), sequence: readU64(bytes, 32),
      nodeId: bytes.toString('hex', 40, 56),
    },
  };
}

/** Fills the header that a batch's writer left room for at its start. */
export function patchBatchHeader(writer: BinaryWriter, header: BatchHeader, salt: Buffer): void {
  writer.patchU32(0, BATCH_MAGIC.readUInt32BE(0));
  writer.patchU32(8, header.segment);
  writer.patchU32(12, header.count);
  patchU64(writer, 16, header.sequence);
  patchU64(writer, 24, header.position);
  patchU64(writer, 32, header.durablePosition);
  writer.patchU32(40, header.payloadBytes);
  writer.patchU32(44, 0);
  writer.patchU32(4, saltedCrc(salt, writer.view(BATCH_CRC_FROM).subarray(0, BATCH_HEADER_BYTES - BATCH_CRC_FROM)));
}

/** Null: no batch header of this directory begins at `at`. */
export function parseBatchHeader(bytes: Buffer, at: number, salt: Buffer): BatchHeader | null {
  if (at + BATCH_HEADER_BYTES > bytes.length || bytes.compare(BATCH_MAGIC, 0, 4, at, at + 4) !== 0) return null;
  if (bytes.readUInt32BE(at + 4) !== saltedCrc(salt, bytes.subarray(at + BATCH_CRC_FROM, at + BATCH_HEADER_BYTES))) return null;
  return {
    segment: bytes.readUInt32BE(at + 8), count: bytes.readUInt32BE(at + 12), sequence: readU64(bytes, at + 16),
    position: readU64(bytes, at + 24), durablePosition: readU64(bytes, at + 32), payloadBytes: bytes.readUInt32BE(at + 40),
  };
}

/** `000123.seg`. */
export function segmentName(number: number): string {
  return `${number.toString().padStart(6, '0')}.seg`;
}

/** Null: not the name of a segment. */
export function parseSegmentName(name: string): number | null {
  const match = /^(\d{6,12})\.seg$/.exec(name);
  return match === null ? null : Number(match[1]);
}

/** The CRC of a record's header and meta, which begins at byte 4 of `record`. */
export function recordCrc(record: Buffer): number {
  return crc32(record.subarray(4));
}

function patchU64(writer: BinaryWriter, at: number, value: number): void {
  writer.patchU32(at, Math.floor(value / 2 ** 32));
  writer.patchU32(at + 4, value >>> 0);
}

function readU64(bytes: Buffer, at: number): number {
  return bytes.readUInt32BE(at) * 2 ** 32 + bytes.readUInt32BE(at + 4);
}
