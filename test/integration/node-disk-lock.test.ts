import { afterAll, expect, test } from '@jest/globals';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { NodeDisk } from '../../src/runtime/node-disk.ts';

const temporary = mkdtempSync(path.join(tmpdir(), 'dht-lock-'));
afterAll(() => { rmSync(temporary, { recursive: true, force: true }); });

/** A process that holds the lock, says so, and waits. */
async function holder(directory: string): Promise<ReturnType<typeof spawn>> {
  const code = `
    import { NodeDisk } from ${JSON.stringify(path.resolve(import.meta.dirname, '../../src/runtime/node-disk.ts'))};
    globalThis.lock = await new NodeDisk().lock(${JSON.stringify(directory)});
    console.log('locked');
    setInterval(() => undefined, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', code], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  return child;
}

test('a lock is held against another process until that one is killed', async () => {
  const directory = path.join(temporary, 'node');
  mkdirSync(directory);
  const child = await holder(directory);
  const disk = new NodeDisk();
  await expect(disk.lock(directory)).rejects.toMatchObject({ code: 'DHT_ERR_DATA_DIR_IN_USE' });
  child.kill('SIGKILL');
  await once(child, 'exit');
  expect(existsSync(path.join(directory, 'lock'))).toBe(true);
  const lock = await disk.lock(directory);
  await expect(disk.lock(directory)).rejects.toMatchObject({ code: 'DHT_ERR_DATA_DIR_IN_USE' });
  await lock.release();
});

test('a directory with a path far longer than a socket may have is locked too', async () => {
  const directory = path.join(temporary, ...Array.from({ length: 8 }, (_, i) => `${i}`.repeat(40)));
  const disk = new NodeDisk();
  await disk.makeDirectory(directory);
  const lock = await disk.lock(directory);
  await expect(disk.lock(directory)).rejects.toMatchObject({ code: 'DHT_ERR_DATA_DIR_IN_USE' });
  expect(existsSync(path.join(directory, 'lock'))).toBe(true);
  await lock.release();
  const child = await holder(directory);
  child.kill('SIGKILL');
  await once(child, 'exit');
  await (await disk.lock(directory)).release();
});
