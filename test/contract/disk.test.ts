/**
 * What every Disk promises, held against Node's and the simulator's: a simulator that is kinder or harsher than the
 * real thing proves nothing.
 */
import { afterAll, beforeEach, describe, expect, test } from '@jest/globals';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Disk } from '../../src/ports/disk.ts';
import { NodeDisk } from '../../src/runtime/node-disk.ts';
import { testSimDisk } from '../unit/storage/test-disk.ts';

const temporary = mkdtempSync(path.join(tmpdir(), 'dht-disk-'));
let directoryCount = 0;
afterAll(() => { rmSync(temporary, { recursive: true, force: true }); });

const disks: readonly (readonly [string, () => { readonly disk: Disk; readonly directory: string }])[] = [
  ['NodeDisk', () => ({ disk: new NodeDisk(), directory: path.join(temporary, `d${++directoryCount}`) })],
  ['SimDisk', () => ({ disk: testSimDisk('contract').boot(), directory: '/data/node' })],
];

describe.each(disks)('%s', (_name, open) => {
  let disk: Disk;
  let directory: string;

  beforeEach(async () => {
    ({ disk, directory } = open());
    await disk.makeDirectory(directory);
  });

  test('reads what was written, and less only at the end', async () => {
    const file = await disk.open(`${directory}/a`, 'create');
    await file.write(0, [Buffer.from('hello '), Buffer.alloc(0), Buffer.from('world')]);
    expect((await file.read(0, 100)).toString()).toBe('hello world');
    expect((await file.read(6, 3)).toString()).toBe('wor');
    expect((await file.read(11, 5)).length).toBe(0);
    expect(await file.size()).toBe(11);
    await file.close();
  });

  test('writes durably in one step, and reads it through the same file', async () => {
    const file = await disk.open(`${directory}/a`, 'create');
    await file.write(0, [Buffer.from('plain')]);
    await file.writeDurably(5, [Buffer.from(' and'), Buffer.alloc(0), Buffer.from(' durable')]);
    expect((await file.read(0, 100)).toString()).toBe('plain and durable');
    await file.close();
    await expect(file.writeDurably(0, [Buffer.from('x')])).rejects.toThrow();
  });

  test('fills a gap with zeros and truncates', async () => {
    const file = await disk.open(`${directory}/a`, 'create');
    await file.write(4, [Buffer.from('xy')]);
    expect(await file.read(0, 6)).toEqual(Buffer.from([0, 0, 0, 0, 0x78, 0x79]));
    await file.truncate(5);
    await file.sync();
    expect(await file.size()).toBe(5);
    await file.truncate(8);
    expect(await file.read(0, 8)).toEqual(Buffer.from([0, 0, 0, 0, 0x78, 0, 0, 0]));
    await file.close();
  });

  test('reads on through an open file after it got another name, was replaced, or was removed', async () => {
    const written = await disk.open(`${directory}/a`, 'create');
    await written.write(0, [Buffer.from('first')]);
    const reader = await disk.open(`${directory}/a`, 'read');
    await disk.rename(`${directory}/a`, `${directory}/b`);
    expect((await reader.read(0, 5)).toString()).toBe('first');
    const other = await disk.open(`${directory}/c`, 'create');
    await other.write(0, [Buffer.from('second')]);
    await disk.rename(`${directory}/c`, `${directory}/b`);
    expect((await reader.read(0, 5)).toString()).toBe('first');
    const second = await disk.open(`${directory}/b`, 'read');
    await disk.remove(`${directory}/b`);
    expect((await second.read(0, 6)).toString()).toBe('second');
    expect((await reader.read(0, 5)).toString()).toBe('first');
    for (const file of [written, reader, other, second]) await file.close();
  });

  test('writes hundreds of chunks in one call in their order', async () => {
    const file = await disk.open(`${directory}/a`, 'create');
    const chunks = Array.from({ length: 3000 }, (_, i) => Buffer.from([i & 255, i >> 8, 7]));
    await file.write(10, chunks);
    expect(await file.read(10, 9000)).toEqual(Buffer.concat(chunks));
    await file.close();
  });

  test('refuses to create what exists and to open what does not', async () => {
    await (await disk.open(`${directory}/a`, 'create')).close();
    await expect(disk.open(`${directory}/a`, 'create')).rejects.toMatchObject({ code: 'EEXIST' });
    await expect(disk.open(`${directory}/b`, 'update')).rejects.toMatchObject({ code: 'ENOENT' });
    await expect(disk.open(`${directory}/b`, 'read')).rejects.toMatchObject({ code: 'ENOENT' });
    await expect(disk.open(`${directory}/no/b`, 'create')).rejects.toMatchObject({ code: 'ENOENT' });
  });

  test('lists names in order, and nothing where there is no directory', async () => {
    for (const name of ['c', 'a', 'b']) await (await disk.open(`${directory}/${name}`, 'create')).close();
    await disk.makeDirectory(`${directory}/log`);
    expect(await disk.list(directory)).toEqual(['a', 'b', 'c', 'log']);
    expect(await disk.list(`${directory}/none`)).toEqual([]);
  });

  test('renames over an existing file and removes', async () => {
    for (const name of ['a', 'b']) {
      const file = await disk.open(`${directory}/${name}`, 'create');
      await file.write(0, [Buffer.from(name)]);
      await file.sync();
      await file.close();
    }
    await disk.rename(`${directory}/a`, `${directory}/b`);
    await disk.syncDirectory(directory);
    expect(await disk.list(directory)).toEqual(['b']);
    const file = await disk.open(`${directory}/b`, 'read');
    expect((await file.read(0, 9)).toString()).toBe('a');
    await file.close();
    await disk.remove(`${directory}/b`);
    expect(await disk.list(directory)).toEqual([]);
    await expect(disk.remove(`${directory}/b`)).rejects.toMatchObject({ code: 'ENOENT' });
    await expect(disk.rename(`${directory}/b`, `${directory}/c`)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  test('tells the space it has', async () => {
    const { totalBytes, freeBytes } = await disk.space(directory);
    expect(totalBytes).toBeGreaterThan(0);
    expect(freeBytes).toBeGreaterThan(0);
    expect(freeBytes).toBeLessThanOrEqual(totalBytes);
  });

  test('a directory is locked once until it is released', async () => {
    const lock = await disk.lock(directory);
    await expect(disk.lock(directory)).rejects.toMatchObject({ code: 'DHT_ERR_DATA_DIR_IN_USE' });
    await lock.release();
    const again = await disk.lock(directory);
    await again.release();
  });
});
