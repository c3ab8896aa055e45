/**
 * Bytes that the medium doesn't give back: a sector that is gone fails with EIO, for ever. One such error may be a cable or a
 * controller, so nothing is given up for it; two, with a pause between them, are rot like a checksum that doesn't fit.
 */
import { codeOf } from './body-disk.ts';

export function isUnreadable(error: unknown): boolean {
  return codeOf(error) === 'EIO' || (error instanceof Error && error.cause !== undefined && codeOf(error.cause) === 'EIO');
}

/** Null: twice unreadable. Rejects with every other error. */
export async function readTwice<T>(read: () => Promise<T>, pause: () => Promise<void>): Promise<T | null> {
  try {
    return await read();
  } catch (error) {
    if (!isUnreadable(error)) throw error;
  }
  await pause();
  return unlessUnreadable(read());
}

export async function unlessUnreadable<T>(reading: Promise<T>): Promise<T | null> {
  try {
    return await reading;
  } catch (error) {
    if (isUnreadable(error)) return null;
    throw error;
  }
}
