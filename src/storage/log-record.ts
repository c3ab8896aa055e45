/**
 * The records of the log: every change of state that a node must not forget. Recovery is the repetition of these changes
 * in their order, so applying one is deterministic and needs nothing but the state before it.
 *
 * A record's type number is for ever. A type that this version doesn't know means that the log isn't understood: recovery
 * refuses instead of skipping it. Source: protocol sections A.4, A.7, C.1 "Durable per replica" and R16.
 */
import type { Ballot } from '../domain/ballot.ts';
import type { BodyId, ClusterId, Epoch, NodeId } from '../domain/ids.ts';
import type { Layout } from '../domain/layout.ts';
import { NAME_BYTES_MAX } from '../domain/limits.ts';
import type { ObjectKey, Position, RingArc } from '../domain/ring-position.ts';
import type { ObjectRecord } from '../domain/stored-object.ts';
import { assertNever } from '../domain/assert.ts';
import { DecodeError, type BinaryReader } from '../encoding/binary-reader.ts';
import type { BinaryWriter } from '../encoding/binary-writer.ts';
import { readLayout, writeLayout } from '../encoding/layout-encoding.ts';
import { readRecord, writeRecord } from '../encoding/record-encoding.ts';
import type { LayoutSlot } from './register-store.ts';

/** Items of any list in a record at most. */
const LIST_MAX = 1_000_000;

export type LogRecord =
  /** `staged`: the body behind this record. */
  | { readonly kind: 'promise'; readonly key: ObjectKey; readonly name: string; readonly ballot: Ballot; readonly staged: BodyId | null }
  /** `bodyAt`: the log position of the body that the record names; 0: not held here; BODY_IN_FILE: held in a file. */
  | { readonly kind: 'accept'; readonly key: ObjectKey; readonly name: string; readonly ballot: Ballot; readonly bodyAt: number; readonly record: ObjectRecord }
  | { readonly kind: 'stage'; readonly key: ObjectKey; readonly bodyId: BodyId }
  | { readonly kind: 'floor'; readonly arc: RingArc; readonly floor: Ballot }
  | { readonly kind: 'release'; readonly keys: readonly ObjectKey[] }
  | { readonly kind: 'adopt-layout'; readonly layout: Layout; readonly discards: readonly RingArc[] }
  | { readonly kind: 'slot'; readonly slot: LayoutSlot }
  | { readonly kind: 'caught'; readonly epoch: Epoch; readonly arcEnds: readonly Position[] }
  | { readonly kind: 'promised-founder'; readonly founder: NodeId }
  | { readonly kind: 'remember'; readonly peer: NodeId; readonly boot: number; readonly position: number }
  | { readonly kind: 'abandon-layout'; readonly clusterId: ClusterId }
  /** Compaction: the accepted record at log position `from` is here now; nothing else about it changes. */
  | { readonly kind: 'move-record'; readonly key: ObjectKey; readonly name: string; readonly ballot: Ballot; readonly from: number; readonly record: ObjectRecord }
  /** The body at log position `from` is behind this record now. `key`: whose record names it; null: it is staged. */
  | { readonly kind: 'move-body'; readonly key: ObjectKey | null; readonly bodyId: BodyId; readonly from: number }
  /** The tombstones at these ballots go, and the floors of their buckets rise to them, in one step (rule R13). */
  | { readonly kind: 'erase'; readonly entries: readonly { readonly key: ObjectKey; readonly ballot: Ballot }[] }
  /** The body's file is in its place, whole and durable. */
  | { readonly kind: 'body-file'; readonly key: ObjectKey; readonly bodyId: BodyId; readonly size: number; readonly sha256: string };

const TYPE_NUMBERS: Readonly<Record<LogRecord['kind'], number>> = {
  promise: 1,
  accept: 2,
  stage: 3,
  floor: 4,
  release: 5,
  'adopt-layout': 6,
  slot: 7,
  caught: 8,
  'promised-founder': 9,
  remember: 10,
  'abandon-layout': 11,
  'body-file': 12,
  'move-record': 13,
  'move-body': 14,
  'erase': 25,
};

const KINDS = new Map(Object.entries(TYPE_NUMBERS).map(([kind, number]) => [number, kind as LogRecord['kind']]));

export function recordType(kind: LogRecord['kind']): number {
  return TYPE_NUMBERS[kind];
}

export function writeLogRecord(writer: BinaryWriter, record: LogRecord): void {
  switch (record.kind) {
    case 'promise':
      writer.hex(record.key, 20);
      writer.text(record.name);
      writer.ballot(record.ballot);
      writer.optional(record.staged, (w, bodyId) => { w.hex(bodyId, 16); });
      return;
    case 'accept':
      writer.hex(record.key, 20);
      writer.text(record.name);
      writer.ballot(record.ballot);
      writer.u64(record.bodyAt);
      writeRecord(writer, record.record);
      return;
    case 'move-record':
      writer.hex(record.key, 20);
      writer.text(record.name);
      writer.ballot(record.ballot);
      writer.u64(record.from);
      writeRecord(writer, record.record);
      return;
    case 'move-body':
      writer.optional(record.key, (w, key) => { w.hex(key, 20); });
      writer.hex(record.bodyId, 16);
      writer.u64(record.from);
      return;
    case 'stage':
      writer.hex(record.key, 20);
      writer.hex(record.bodyId, 16);
      return;
    case 'floor':
      writeArc(writer, record.arc);
      writer.ballot(record.floor);
      return;
    case 'release':
      writer.list(record.keys, (w, key) => { w.hex(key, 20); });
      return;
    case 'adopt-layout':
      writeLayout(writer, record.layout);
      writer.list(record.discards, writeArc);
      return;
    case 'slot':
      writer.ballot(record.slot.promised);
      writer.optional(record.slot.accepted, (w, accepted) => { w.ballot(accepted.ballot); writeLayout(w, accepted.value); });
      return;
    case 'caught':
      writer.u64(record.epoch);
      writer.list(record.arcEnds, (w, end) => { w.u64(end); });
      return;
    case 'promised-founder':
      writer.hex(record.founder, 16);
      return;
    case 'remember':
      writer.hex(record.peer, 16);
      writer.u64(record.boot);
      writer.u64(record.position);
      return;
    case 'abandon-layout':
      writer.hex(record.clusterId, 16);
      return;
    case 'erase':
      writer.list(record.entries, (w, { key, ballot }) => { w.hex(key, 20); w.ballot(ballot); });
      return;
    case 'body-file':
      writer.hex(record.key, 20);
      writer.hex(record.bodyId, 16);
      writer.u64(record.size);
      writer.hex(record.sha256, 32);
      return;
    default:
      assertNever(record);
  }
}

/** Throws DecodeError: the type is unknown or the bytes are none of its records. */
export function readLogRecord(type: number, reader: BinaryReader): LogRecord {
  const kind = KINDS.get(type);
  if (kind === undefined) throw new DecodeError(`unknown type ${type} of log record`);
  const record = readFields(kind, reader);
  reader.finish();
  return record;
}

function readFields(kind: LogRecord['kind'], reader: BinaryReader): LogRecord {
  switch (kind) {
    case 'promise':
      return { kind, key: readKey(reader), name: reader.text(NAME_BYTES_MAX), ballot: reader.ballot(), staged: reader.optional((r) => r.hex(16) as BodyId) };
    case 'accept':
      return { kind, key: readKey(reader), name: reader.text(NAME_BYTES_MAX), ballot: reader.ballot(), bodyAt: reader.u64(), record: readRecord(reader) };
    case 'move-record':
      return { kind, key: readKey(reader), name: reader.text(NAME_BYTES_MAX), ballot: reader.ballot(), from: reader.u64(), record: readRecord(reader) };
    case 'move-body':
      return { kind, key: reader.optional(readKey), bodyId: reader.hex(16) as BodyId, from: reader.u64() };
    case 'stage':
      return { kind, key: readKey(reader), bodyId: reader.hex(16) as BodyId };
    case 'floor':
      return { kind, arc: readArc(reader), floor: reader.ballot() };
    case 'release':
      return { kind, keys: reader.list(LIST_MAX, 20, readKey) };
    case 'adopt-layout':
      return { kind, layout: readLayout(reader), discards: reader.list(LIST_MAX, 16, readArc) };
    case 'slot':
      return {
        kind,
        slot: { promised: reader.ballot(), accepted: reader.optional((r) => ({ ballot: r.ballot(), value: readLayout(r) })) },
      };
    case 'caught':
      return { kind, epoch: reader.u64(), arcEnds: reader.list(LIST_MAX, 8, (r) => r.u64() as Position) };
    case 'promised-founder':
      return { kind, founder: reader.hex(16) as NodeId };
    case 'remember':
      return { kind, peer: reader.hex(16) as NodeId, boot: reader.u64(), position: reader.u64() };
    case 'abandon-layout':
      return { kind, clusterId: reader.hex(16) as ClusterId };
    case 'erase':
      return { kind, entries: reader.list(LIST_MAX, 20, (r) => ({ key: readKey(r), ballot: r.ballot() })) };
    case 'body-file':
      return { kind, key: readKey(reader), bodyId: reader.hex(16) as BodyId, size: reader.u64(), sha256: reader.hex(32) };
    default:
      return assertNever(kind);
  }
}

function readKey(reader: BinaryReader): ObjectKey {
  return reader.hex(20) as ObjectKey;
}

function writeArc(writer: BinaryWriter, arc: RingArc): void {
  writer.u64(arc.from);
  writer.u64(arc.to);
}

function readArc(reader: BinaryReader): RingArc {
  return { from: reader.u64() as Position, to: reader.u64() as Position };
}
