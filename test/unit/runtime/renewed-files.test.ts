/** Files that are replaced while the program runs: in use soon, together, and never instead of ones that work. */
import { beforeEach, expect, test } from '@jest/globals';
import type { Log } from '../../../src/ports/log.ts';
import { RENEWAL_MS, useRenewed } from '../../../src/runtime/renewed-files.ts';
import { drained, ManualClock } from '../../support/replica-ring.ts';
import { silentLog } from '../../support/silent-log.ts';

let clock: ManualClock;
let stored: Map<string, string>;
let used: string[];
let warnings: string[];

const use = ([cert, key]: readonly Buffer[]): void => {
  if (String(cert) !== String(key)) throw new Error(`the key ${String(key)} belongs to another certificate`);
  used.push(String(cert));
};

const begin = (): Promise<void> => useRenewed(
  { clock, files: { read: (path) => (stored.has(path) ? Promise.resolve(Buffer.from(stored.get(path) ?? '')) : Promise.reject(new Error(`no ${path}`))) }, log },
  { what: 'certificate', paths: ['cert', 'key'], bytesMax: 100, use },
);

let log: Log;

async function look(): Promise<void> {
  const before = clock.nowMs;
  clock.step();
  expect(clock.nowMs).toBe(before + RENEWAL_MS);
  await drained();
}

beforeEach(() => {
  clock = new ManualClock();
  stored = new Map([['cert', 'old'], ['key', 'old']]);
  used = [];
  warnings = [];
  log = { ...silentLog, warn: (message, fields) => { warnings.push(`${message}: ${String(fields?.['detail'])}`); } };
});

test('what can not be used at the start is an error', async () => {
  stored.set('key', 'other');
  await expect(begin()).rejects.toThrow('the key other belongs to another certificate');
  expect(clock.timerCount).toBe(0);
});

test('replaced files are used once, at the next look', async () => {
  await begin();
  await look();
  expect(used).toEqual(['old']);
  stored = new Map([['cert', 'new'], ['key', 'new']]);
  await look();
  await look();
  expect(used).toEqual(['old', 'new']);
  expect(warnings).toEqual([]);
});

test('half of a pair, and files that are away, leave the old ones in use, are told once, and the whole pair is used when it is there', async () => {
  await begin();
  stored.set('cert', 'new');
  await look();
  await look();
  stored.delete('key');
  await look();
  await look();
  expect(used).toEqual(['old']);
  expect(warnings).toEqual([
    'Replaced files can not be used; those before stay in use: the key old belongs to another certificate',
    'Replaced files can not be used; those before stay in use: no key',
  ]);
  stored.set('key', 'new');
  await look();
  expect(used).toEqual(['old', 'new']);
});
