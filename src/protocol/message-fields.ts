/**
 * Fields that several messages share, as bytes; and what a codec of one message is.
 *
 * A head is a fixed sequence of fields. A newer minor version may append fields: readers stop after the ones they know
 * and skip the rest. Anything else changes the protocol version.
 */
import type { Ballot } from '../domain/ballot.ts';
import type { ClusterId, NodeId } from '../domain/ids.ts';
import type { Layout } from '../domain/layout.ts';
import { NAME_BYTES_MAX } from '../domain/limits.ts';
import { KEY_BITS_MAX, type Position } from '../domain/ring-position.ts';
import type { ObjectRecord } from '../domain/stored-object.ts';
import { BinaryReader, DecodeError } from '../encoding/binary-reader.ts';
import { BinaryWriter } from '../encoding/binary-writer.ts';
import { readLayout, writeLayout } from '../encoding/layout-encoding.ts';
import { readRecord, writeRecord } from '../encoding/record-encoding.ts';
import type { BootPosition, NodeRef } from './message.ts';

/** How one kind of message becomes a frame and back. */
export interface MessageCodec<M> {
  /** Number on the wire, never used for another message again. */
  readonly type: number;
  readonly headBytesMax: number;
  readonly bodyBytesMax: number;
  /** Writes the head, returns the body. */
  readonly write: (head: BinaryWriter, message: M) => Uint8Array;
  /** Throws DecodeError. `body` may be kept. */
  readonly read: (head: BinaryReader, body: Buffer) => M;
}

export const NO_BODY: Uint8Array = new Uint8Array(0);

/** Bytes of `host:port`: a DNS name has at most 253. */
const ADDRESS_BYTES_MAX = 270;

export interface AcceptedRecord {
  readonly ballot: Ballot;
  readonly record: ObjectRecord;
}

export function writeNodeRef(writer: BinaryWriter, node: NodeRef): void {
  writer.hex(node.nodeId, 16);
  writer.text(node.name);
  writer.text(node.advertise);
}

export function readNodeRef(reader: BinaryReader): NodeRef {
  return { nodeId: readNodeId(reader), name: readAddressText(reader), advertise: readAddressText(reader) };
}

export function readAddressText(reader: BinaryReader): string {
  return reader.text(ADDRESS_BYTES_MAX);
}

export function readName(reader: BinaryReader): string {
  return reader.text(NAME_BYTES_MAX);
}

export function writeNodeId(writer: BinaryWriter, id: NodeId): void {
  writer.hex(id, 16);
}

export function readNodeId(reader: BinaryReader): NodeId {
  return reader.hex(16) as NodeId;
}

export function writeClusterId(writer: BinaryWriter, id: ClusterId): void {
  writer.hex(id, 16);
}

export function readClusterId(reader: BinaryReader): ClusterId {
  return reader.hex(16) as ClusterId;
}

export function writeBoot(writer: BinaryWriter, boot: BootPosition): void {
  writer.u64(boot.boot);
  writer.u64(boot.position);
}

export function readBoot(reader: BinaryReader): BootPosition {
  return { boot: reader.u64(), position: reader.u64() };
}

export function writePosition(writer: BinaryWriter, position: Position): void {
  writer.u64(position);
}

export function readPosition(reader: BinaryReader): Position {
  const position = reader.u64();
  if (position >= 2 ** KEY_BITS_MAX) throw new DecodeError(`position ${position}`);
  return position as Position;
}

export function writeAccepted(writer: BinaryWriter, accepted: AcceptedRecord): void {
  writer.ballot(accepted.ballot);
  writeRecord(writer, accepted.record);
}

export function readAccepted(reader: BinaryReader): AcceptedRecord {
  return { ballot: reader.ballot(), record: readRecord(reader) };
}

/** Layouts as a frame's body, one after the other. */
export function layoutBody(...layouts: readonly Layout[]): Uint8Array {
  const writer = new BinaryWriter(4096);
  for (const layout of layouts) writeLayout(writer, layout);
  return writer.finish();
}

/** The single layout in a body; null when the body is empty. */
export function readOptionalLayout(body: Buffer): Layout | null {
  return body.length === 0 ? null : readLayout(new BinaryReader(body));
}

/** One of a closed list of words, as its index. */
export function writeWord<T extends string>(writer: BinaryWriter, words: readonly T[], word: T): void {
  writer.u8(words.indexOf(word));
}

export function readWord<T extends string>(reader: BinaryReader, words: readonly T[]): T {
  const index = reader.u8();
  const word = words[index];
  if (word === undefined) throw new DecodeError(`${index} stands for none of ${words.join(', ')}`);
  return word;
}

/** A body that may be absent, which is not the same as empty: the head says which. */
export function writeBodyPresence(writer: BinaryWriter, body: Buffer | null): Uint8Array {
  writer.bool(body !== null);
  return body ?? NO_BODY;
}

export function readBodyPresence(reader: BinaryReader, body: Buffer): Buffer | null {
  if (reader.bool()) return body;
  if (body.length > 0) throw new DecodeError(`${body.length} bytes of a body that is said to be absent`);
  return null;
}
