/**
 * What body files need of a Disk beside its plain calls: a missing file as an outcome, and its errors in the catalogue's words.
 */
import { DhtError } from '../domain/error-catalogue.ts';
import type { Disk, DiskFile } from '../ports/disk.ts';

const FULL_CODES: ReadonlySet<unknown> = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);

export function codeOf(error: unknown): unknown {
  return typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
}

export function isFull(error: unknown): boolean {
  return FULL_CODES.has(codeOf(error)) || codeOf(error) === 'DHT_ERR_DISK_FULL';
}

export function fullDisk(cause?: unknown): DhtError {
  return new DhtError('DHT_ERR_DISK_FULL', 'there is no room on the volume', { cause });
}

export function bodyError(error: unknown): DhtError {
  if (error instanceof DhtError) return error;
  return isFull(error) ? fullDisk(error) : new DhtError('DHT_ERR_DISK_FAILED', 'the body could not be written', { cause: error });
}

export async function openIfThere(disk: Disk, path: string, mode: 'read' | 'update'): Promise<DiskFile | null> {
  try {
    return await disk.open(path, mode);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return null;
    throw error;
  }
}

export async function removeIfThere(disk: Disk, path: string): Promise<void> {
  try {
    await disk.remove(path);
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error;
  }
}
