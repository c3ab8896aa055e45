/**
 * Bytes of a body file, format version 1, and the names of such files.
 *
 *   file   = bytes of the body | table | footer (80)
 *   table  = CRC32 of each chunk, 4 bytes each
 *   footer = magic 8 | crc 4 | version 4 | body bytes 8 | chunk bytes 4 | zeros 4 | body id 16 | SHA-256 of the body 32
 *
 * The body begins at 0, so that a range of it is the same range of the file. The footer's CRC covers the table and what
 * follows the CRC in the footer; any chunk can then be checked by itself. A file that was written whole under `staging/` gets
 * its place `bodies/ab/cd/<body id>` by a rename: the name comes from random bits, never from what a client wrote. Integers are
 * big-endian, CRCs are CRC32 (IEEE).
 * Source: protocol section F.2 "Bodies".
 */
import { crc32 } from 'node:zlib';
import type { BodyId } from '../domain/ids.ts';
import { isIdText } from '../domain/ids.ts';
import { BinaryReader } from '../encoding/binary-reader.ts';
import { BinaryWriter } from '../encoding/binary-writer.ts';
import type { DiskFile } from '../ports/disk.ts';

export const BODY_FORMAT_VERSION = 1;
export const BODY_FOOTER_BYTES = 80;
/** Bytes of a checksum in the table. */
export const SUM_BYTES = 4;

const MAGIC = Buffer.from('dhtbody\n', 'latin1');
const CRC_AT = 8;
const CRC_FROM = 12;
/** Checksums of chunks that were written to a staged file so far, for whoever goes on with it. */
const SUMS_SUFFIX = '.sums';

export interface BodyFileHead {
  readonly bodyId: BodyId;
  readonly size: number;
  readonly sha256: string;
  readonly chunkBytes: number;
  readonly table: Buffer;
}

export function stagingDirectory(directory: string): string {
  return `${directory}/staging`;
}

export function stagedPath(directory: string, bodyId: BodyId): string {
  return `${stagingDirectory(directory)}/${bodyId}`;
}

export function sumsPath(directory: string, bodyId: BodyId): string {
  return `${stagedPath(directory, bodyId)}${SUMS_SUFFIX}`;
}

export function bodiesDirectory(directory: string): string {
  return `${directory}/bodies`;
}

export function bodyDirectory(directory: string, bodyId: BodyId): string {
  return `${bodiesDirectory(directory)}/${bodyId.slice(0, 2)}/${bodyId.slice(2, 4)}`;
}

export function bodyPath(directory: string, bodyId: BodyId): string {
  return `${bodyDirectory(directory, bodyId)}/${bodyId}`;
}

/** The body that a file under `staging/` or `bodies/` belongs to; null when this store didn't name it. */
export function bodyIdOfFile(name: string): BodyId | null {
  const id = name.endsWith(SUMS_SUFFIX) ? name.slice(0, -SUMS_SUFFIX.length) : name;
  return isIdText(id) ? (id as BodyId) : null;
}

export function chunkCount(size: number, chunkBytes: number): number {
  return Math.ceil(size / chunkBytes);
}

/** What follows the body in its file. */
export function bodyTail(head: BodyFileHead): Buffer {
  const writer = new BinaryWriter(head.table.length + BODY_FOOTER_BYTES);
  writer.raw(head.table);
  writer.raw(MAGIC);
  writer.u32(0);
  writer.u32(BODY_FORMAT_VERSION);
  writer.u64(head.size);
  writer.u32(head.chunkBytes);
  writer.u32(0);
  writer.hex(head.bodyId, 16);
  writer.hex(head.sha256, 32);
  writer.patchU32(head.table.length + CRC_AT, crc32(writer.view(head.table.length + CRC_FROM), crc32(head.table)));
  return writer.finish();
}

/** Null: it isn't the whole file of this body, as this version writes it. */
export async function readBodyHead(file: DiskFile, bodyId: BodyId): Promise<BodyFileHead | null> {
  const fileBytes = await file.size();
  if (fileBytes < BODY_FOOTER_BYTES) return null;
  const footer = await file.read(fileBytes - BODY_FOOTER_BYTES, BODY_FOOTER_BYTES);
  if (footer.length !== BODY_FOOTER_BYTES || footer.compare(MAGIC, 0, MAGIC.length, 0, MAGIC.length) !== 0) return null;
  const crc = footer.readUInt32BE(CRC_AT);
  if (footer.readUInt32BE(CRC_FROM) !== BODY_FORMAT_VERSION || footer.readUInt32BE(CRC_FROM + 4) >= 2 ** 21) return null;
  const reader = new BinaryReader(footer, CRC_FROM + 4);
  const size = reader.u64();
  const chunkBytes = reader.u32();
  reader.u32();
  const writtenId = reader.hex(16);
  const sha256 = reader.hex(32);
  const tableBytes = fileBytes - BODY_FOOTER_BYTES - size;
  if (writtenId !== bodyId || chunkBytes === 0 || tableBytes !== SUM_BYTES * chunkCount(size, chunkBytes)) return null;
  const table = await file.read(size, tableBytes);
  if (table.length !== tableBytes || crc32(footer.subarray(CRC_FROM), crc32(table)) !== crc) return null;
  return { bodyId, size, sha256, chunkBytes, table };
}

/** Whether `bytes`, whole chunks (the body's last one may be short) from chunk `first` on, are what was written. */
export function checkChunks(bytes: Buffer, first: number, { chunkBytes, table }: BodyFileHead): boolean {
  for (let at = 0, chunk = first; at < bytes.length; at += chunkBytes, chunk++) {
    if (crc32(bytes.subarray(at, at + chunkBytes)) !== table.readUInt32BE(chunk * SUM_BYTES)) return false;
  }
  return true;
}
