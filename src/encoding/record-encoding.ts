/**
 * An object record as bytes: the same on the wire and in the log, so that catch-up copies what was stored. The first
 * byte is the version of this encoding; readers take versions up to their own.
 */
import { CONTENT_TYPE_BYTES_MAX, META_BYTES_MAX, OBJECT_BYTES_MAX } from '../domain/limits.ts';
import type { BodyId, OpId } from '../domain/ids.ts';
import { OPS_KEPT_MAX, type ObjectRecord, type OpResult, type RecordBody } from '../domain/stored-object.ts';
import type { BinaryWriter } from './binary-writer.ts';
import { DecodeError, type BinaryReader } from './binary-reader.ts';

const RECORD_ENCODING_VERSION = 1;
/** Chunks of the largest body a record can name: 16 TiB at 256 KiB would not fit a head, so large tables stay with the file. */
const CHUNK_CRCS_MAX = 8192;

const OP_KINDS = ['created', 'replaced', 'deleted'] as const;

export function writeRecord(writer: BinaryWriter, record: ObjectRecord): void {
  writer.u8(RECORD_ENCODING_VERSION);
  writer.u8(record.kind === 'object' ? 1 : 2);
  writer.ballot(record.version);
  writer.ballot(record.lineageFloor);
  writer.list(record.ops, writeOp);
  if (record.kind === 'tombstone') return;
  writer.hex(record.body.bodyId, 16);
  writer.u64(record.body.size);
  writer.hex(record.body.sha256, 32);
  writer.u8(record.body.where === 'inline' ? 0 : 1);
  writer.list(record.body.chunkCrcs, (w, crc) => { w.u32(crc); });
  writer.text(record.contentType);
  writer.list(record.meta, (w, [name, value]) => { w.text(name); w.text(value); });
  writer.u64(record.createdMs);
}

export function readRecord(reader: BinaryReader): ObjectRecord {
  const encodingVersion = reader.u8();
  if (encodingVersion !== RECORD_ENCODING_VERSION) throw new DecodeError(`record encoding version ${encodingVersion}`);
  const kind = reader.u8();
  if (kind !== 1 && kind !== 2) throw new DecodeError(`record kind ${kind}`);
  const version = reader.ballot();
  const lineageFloor = reader.ballot();
  const ops = reader.list(OPS_KEPT_MAX, 49, readOp);
  if (kind === 2) return { kind: 'tombstone', version, lineageFloor, ops };
  const bodyId = reader.hex(16) as BodyId;
  const size = reader.u64();
  if (size > OBJECT_BYTES_MAX) throw new DecodeError(`body of ${size} bytes`);
  const sha256 = reader.hex(32);
  const where = reader.u8();
  if (where > 1) throw new DecodeError(`body place ${where}`);
  const chunkCrcs = reader.list(CHUNK_CRCS_MAX, 4, (r) => r.u32());
  const body: RecordBody = { bodyId, size, sha256, where: where === 0 ? 'inline' : 'file', chunkCrcs };
  // Twice what is taken: it was counted in characters once, of up to two bytes each, and logs have such records.
  const contentType = reader.text(2 * CONTENT_TYPE_BYTES_MAX);
  const meta = reader.list(META_BYTES_MAX, 4, (r) => [r.text(META_BYTES_MAX), r.text(META_BYTES_MAX)] as const);
  const createdMs = reader.u64();
  return { kind: 'object', version, lineageFloor, ops, body, contentType, meta, createdMs };
}

function writeOp(writer: BinaryWriter, op: OpResult): void {
  writer.hex(op.opId, 16);
  writer.ballot(op.version);
  writer.u8(OP_KINDS.indexOf(op.kind));
}

function readOp(reader: BinaryReader): OpResult {
  const opId = reader.hex(16) as OpId;
  const version = reader.ballot();
  const kind = OP_KINDS[reader.u8()];
  if (kind === undefined) throw new DecodeError('unknown kind of operation');
  return { opId, version, kind };
}
