/** The volumes of pods on loopback: directories, or small file systems of their own (root and a loop device) that can be filled; and what may rot on them. */
import { execFile } from 'node:child_process';
import { mkdir, readdir, rm, stat, truncate, unlink, open } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import type { Damage } from './chaos-ring.ts';

const run = promisify(execFile);

/** Large enough for what a node keeps free, and never written in full: the filler is a promise of the file system. */
const VOLUME_BYTES = 2 * 2 ** 30;
/** Part of the free space that is filled; less than three hundredths free is read-only. */
const FILLED_PART = 0.99;
/** Bytes that the last writes of a log surely are longer than. */
const TAIL_BYTES = 64;

/** Makes a file system of its own the node's directory. */
export async function mountVolume(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true });
  await run('truncate', ['-s', String(VOLUME_BYTES), `${directory}.img`]);
  await run('mkfs.ext4', ['-q', '-m', '0', `${directory}.img`]);
  await run('mount', ['-o', 'loop', `${directory}.img`, directory]);
}

export async function unmountVolume(directory: string): Promise<void> {
  await run('umount', [directory]);
}

/** Why volumes can't be mounted here; null: they can. */
export async function whyNoVolumes(): Promise<string | null> {
  if (process.getuid?.() !== 0) return 'only root mounts a small volume';
  return await run('sh', ['-c', 'command -v mkfs.ext4 mount truncate fallocate && test -e /dev/loop-control']).then(() => null, () => 'there is no mkfs.ext4 or no loop device');
}

export async function fillVolume(directory: string): Promise<void> {
  const { stdout } = await run('df', ['--output=avail', '-B1', directory]);
  // Some of what is free goes to the file system's own tables.
  const bytes = Math.floor(Number(stdout.split('\n')[1]) * FILLED_PART);
  await run('fallocate', ['-l', String(bytes), path.join(directory, 'filler')]);
}

export async function freeVolume(directory: string): Promise<void> {
  await rm(path.join(directory, 'filler'), { force: true });
}

/** Damages the files of a node that isn't running; the number of damaged places. */
export async function damageFiles(directory: string, what: Damage): Promise<number> {
  switch (what) {
    case 'bodies': {
      const files = await filesIn(path.join(directory, 'bodies'));
      for (const file of files) await flipBit(file, Math.floor((await stat(file)).size / 2));
      return files.length;
    }
    case 'missing-body': {
      const files = await filesIn(path.join(directory, 'bodies'));
      for (const file of files) await unlink(file);
      return files.length;
    }
    case 'log-tail': {
      const segment = await newestSegment(directory);
      const end = await usedBytes(segment);
      await truncate(segment, Math.max(0, end - TAIL_BYTES));
      return 1;
    }
    case 'log': {
      const segment = await newestSegment(directory);
      await flipBit(segment, Math.floor(await usedBytes(segment) / 2));
      return 1;
    }
  }
}

async function filesIn(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true }).catch(() => []);
  return entries.filter((entry) => entry.isFile()).map((entry) => path.join(entry.parentPath, entry.name));
}

async function newestSegment(directory: string): Promise<string> {
  const logs = (await readdir(directory)).filter((name) => name === 'log' || name.startsWith('log-'));
  const segments = (await Promise.all(logs.map((name) => filesIn(path.join(directory, name))))).flat().filter((file) => /\d/.test(path.basename(file)) && !file.includes('checkpoint')).sort();
  const newest = segments.at(-1);
  if (newest === undefined) throw new Error(`there is no log in ${directory}`);
  return newest;
}

/** A segment may be longer than what was written to it. */
async function usedBytes(file: string): Promise<number> {
  const handle = await open(file, 'r');
  try {
    const { size } = await handle.stat();
    const bytes = Buffer.alloc(Math.min(size, 128 * 2 ** 20));
    await handle.read(bytes, 0, bytes.length, 0);
    let end = bytes.length;
    while (end > 0 && bytes[end - 1] === 0) end -= 1;
    return end;
  } finally {
    await handle.close();
  }
}

async function flipBit(file: string, at: number): Promise<void> {
  const handle = await open(file, 'r+');
  try {
    const byte = Buffer.alloc(1);
    await handle.read(byte, 0, 1, at);
    byte[0] = (byte[0] ?? 0) ^ 4;
    await handle.write(byte, 0, 1, at);
  } finally {
    await handle.close();
  }
}
