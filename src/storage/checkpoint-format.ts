/**
 * Bytes of a checkpoint, format version 1: the store's state as it was at one boundary of the log.
 *
 *   file     = header (64) block*, the last one of type `end`
 *   header   = magic 8 | crc 4 | version 4 | M 4 | log position 8 | sequence 8 | nodeId 16 | zeros 12
 *   block    = crc 4 | type 1 | payload bytes 4 | payload
 *
 *   records  = (type 1 | bytes 4 | log record)*     small state, as the log records that make it
 *   floors   = (first bucket 2 | ballot)*           up to the next one's bucket
 *   node-ids = nodeId 16 *                          by their number in the index; before the buckets
 *   buckets  = (bucket 2 | bytes 4 | entry 96 *)*   as the key index has them
 *   names    = (length 2 | name | key 20)*          in order, as the name index has them
 *   staged   = (bodyId 16 | at 8 | bytes 8)*        oldest first
 *   segments = (number 4 | position 8 | end 8)*     all that there are below the position; the last one may go on behind it
 *   end      = blocks before it 4 | registers 8
 *
 * File name: `<log position, 16 digits>.ckpt`, in the log's directory; `.ckpt.tmp` until it is whole and durable. CRCs are
 * CRC32, salted like the log's; a block is at most BLOCK_BYTES_MAX long. Integers are big-endian.
 * Source: protocol section F.2 "Checkpoint".
 */
import { crc32 } from 'node:zlib';
import { BinaryReader } from '../encoding/binary-reader.ts';
import { BinaryWriter } from '../encoding/binary-writer.ts';

export const CHECKPOINT_FORMAT_VERSION = 1;
export const CHECKPOINT_HEADER_BYTES = 64;
export const BLOCK_HEADER_BYTES = 9;
/** A longer one is none: nothing is allocated for it. A bucket or a layout has to fit. */
export const BLOCK_BYTES_MAX = 256 * 1024 * 1024;
/** Payload at which a block is closed: little enough to be packed without delaying anybody. */
export const BLOCK_BYTES = 256 * 1024;

const MAGIC = Buffer.from('dhtckpt\n', 'latin1');
const CRC_FROM = 12;

export type BlockKind = 'records' | 'floors' | 'node-ids' | 'buckets' | 'names' | 'staged' | 'segments' | 'end';

const BLOCK_TYPES: Readonly<Record<BlockKind, number>> = {
  records: 1, floors: 2, 'node-ids': 3, buckets: 4, names: 5, staged: 6, segments: 7, end: 8,
};

const BLOCK_KINDS = new Map(Object.entries(BLOCK_TYPES).map(([kind, number]) => [number, kind as BlockKind]));

export interface CheckpointHeader {
  readonly keyBits: number;
  /** Recovery repeats the log from here on. */
  readonly position: number;
  readonly sequence: number;
  readonly nodeId: string;
}

export type CheckpointHeaderOutcome =
  | { readonly kind: 'header'; readonly header: CheckpointHeader }
  | { readonly kind: 'newer'; readonly version: number }
  | { readonly kind: 'invalid' };

export function checkpointHeaderBytes(header: CheckpointHeader, salt: Buffer): Buffer {
  const writer = new BinaryWriter(CHECKPOINT_HEADER_BYTES);
  writer.raw(MAGIC);
  writer.u32(0);
  writer.u32(CHECKPOINT_FORMAT_VERSION);
  writer.u32(header.keyBits);
  writer.u64(header.position);
  writer.u64(header.sequence);
  writer.hex(header.nodeId, 16);
  writer.u64(0);
  writer.u32(0);
  writer.patchU32(CRC_FROM - 4, crc32(writer.view(CRC_FROM), crc32(salt)));
  return writer.finish();
}

/** A newer version keeps this header, so that it is told from rot. */
export function parseCheckpointHeader(bytes: Buffer, salt: Buffer): CheckpointHeaderOutcome {
  if (bytes.length < CHECKPOINT_HEADER_BYTES || bytes.compare(MAGIC, 0, 8, 0, 8) !== 0) return { kind: 'invalid' };
  const isWhole = bytes.readUInt32BE(CRC_FROM - 4) === crc32(bytes.subarray(CRC_FROM, CHECKPOINT_HEADER_BYTES), crc32(salt));
  if (!isWhole) return { kind: 'invalid' };
  const reader = new BinaryReader(bytes, CRC_FROM, CHECKPOINT_HEADER_BYTES);
  const version = reader.u32();
  if (version > CHECKPOINT_FORMAT_VERSION) return { kind: 'newer', version };
  return { kind: 'header', header: { keyBits: reader.u32(), position: reader.u64(), sequence: reader.u64(), nodeId: reader.hex(16) } };
}

/** Begins a block in `writer`; `endBlock` closes it. Returns where it begins. */
export function beginBlock(writer: BinaryWriter, kind: BlockKind): number {
  const at = writer.length;
  writer.u32(0);
  writer.u8(BLOCK_TYPES[kind]);
  writer.u32(0);
  return at;
}

export function endBlock(writer: BinaryWriter, at: number, salt: Buffer): void {
  writer.patchU32(at + 5, writer.length - at - BLOCK_HEADER_BYTES);
  writer.patchU32(at, crc32(writer.view(at + 4), crc32(salt)));
}

/** Null: no block begins with these bytes. */
export function parseBlockHeader(bytes: Buffer): { readonly kind: BlockKind; readonly payloadBytes: number } | null {
  if (bytes.length < BLOCK_HEADER_BYTES) return null;
  const kind = BLOCK_KINDS.get(bytes[4] ?? 0);
  const payloadBytes = bytes.readUInt32BE(5);
  return kind === undefined || payloadBytes > BLOCK_BYTES_MAX ? null : { kind, payloadBytes };
}

/** Whether the block, header and all, is what was written. */
export function isWholeBlock(block: Buffer, salt: Buffer): boolean {
  return block.readUInt32BE(0) === crc32(block.subarray(4), crc32(salt));
}

export function checkpointName(position: number): string {
  return `${position.toString().padStart(16, '0')}.ckpt`;
}

/** Null: not the name of a checkpoint. */
export function parseCheckpointName(name: string): number | null {
  const match = /^(\d{16})\.ckpt$/.exec(name);
  return match === null ? null : Number(match[1]);
}

/** Whether the name is of a checkpoint that was never finished. */
export function isUnfinishedCheckpoint(name: string): boolean {
  return /^\d{16}\.ckpt\.tmp$/.test(name);
}
