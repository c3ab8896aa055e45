/** A local file read in order, in large pieces: 256 KiB take a tenth of the calls that a stream's 64 KiB would. */
import { open } from 'node:fs/promises';
import type { OpenFile } from '../ports/local-files.ts';

const PIECE_BYTES = 256 * 1024;

/** The first `size` bytes of the file; it ends earlier when the file does. */
export async function openForReading(file: string, size: number): Promise<OpenFile> {
  const handle = await open(file, 'r');
  let at = 0;
  return {
    size,
    next: async () => {
      const bytes = Buffer.allocUnsafe(Math.min(PIECE_BYTES, size - at));
      if (bytes.length === 0) return null;
      const { bytesRead } = await handle.read(bytes, 0, bytes.length, at);
      at += bytesRead;
      return bytesRead === 0 ? null : bytes.subarray(0, bytesRead);
    },
    close: () => handle.close(),
  };
}
