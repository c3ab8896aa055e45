/** The accepted record in the bytes that the log has of it, whether it was written by an accept or moved since. */
import { BinaryReader, DecodeError } from '../encoding/binary-reader.ts';
import { RECORD_HEADER_BYTES, recordCrc } from './log-format.ts';
import { readLogRecord } from './log-record.ts';
import type { LoadedRecord } from './register-store.ts';

/** Null: not what was written there. `bytes`: how many it should be. */
export function parseAccepted(stored: Buffer, bytes: number): LoadedRecord | null {
  if (stored.length !== bytes || recordCrc(stored) !== stored.readUInt32BE(0)) return null;
  try {
    const record = readLogRecord(stored[4] ?? 0, new BinaryReader(stored, RECORD_HEADER_BYTES));
    return record.kind === 'accept' || record.kind === 'move-record' ? { name: record.name, record: record.record } : null;
  } catch (error) {
    if (error instanceof DecodeError) return null;
    throw error;
  }
}
