import { createHash } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import { positionOfKey } from '../../../src/domain/ring-position.ts';
import { hasher, nodeKey, objectKey } from '../../../src/ring/hasher.ts';

/** The definition, word by word: SHA-256 as a big-endian integer, mod 2^M. */
function byDefinition(text: string, keyBits: number): number {
  return Number(BigInt(`0x${createHash('sha256').update(text, 'utf8').digest('hex')}`) % 2n ** BigInt(keyBits));
}

const TEXTS = ['', 'a', 'localhost7400', 'holiday.jpg', 'Grüße/😀.txt', 'x'.repeat(1024)];

describe('hasher', () => {
  test('gives what sha256sum gives by hand', () => {
    // printf abc | sha256sum ends in ...ff61f20015ad
    expect(hasher('abc', 48)).toBe(0xff61f20015ad);
    expect(hasher('abc', 16)).toBe(0x15ad);
    expect(hasher('abc', 8)).toBe(0xad);
  });

  test.each([8, 9, 16, 31, 33, 47, 48])('is SHA-256 mod 2^%i', (keyBits) => {
    for (const text of TEXTS) expect(hasher(text, keyBits)).toBe(byDefinition(text, keyBits));
  });

  test('a node\'s key is the hash of host and port written one after the other', () => {
    expect(nodeKey({ host: 'localhost', port: 7400 }, 16)).toBe(byDefinition('localhost7400', 16));
    expect(nodeKey({ host: '::1', port: 80 }, 48)).toBe(byDefinition('::180', 48));
  });
});

describe('objectKey', () => {
  test.each([8, 16, 45, 48])('carries the position and 14 more bytes of the hash (M = %i)', (keyBits) => {
    for (const text of TEXTS) {
      const key = objectKey(text, keyBits);
      expect(key).toMatch(/^[0-9a-f]{40}$/);
      expect(positionOfKey(key, keyBits)).toBe(hasher(text, keyBits));
      expect(key.slice(12)).toBe(createHash('sha256').update(text).digest('hex').slice(0, 28));
    }
  });

  test('sorts as its position does', () => {
    const names = Array.from({ length: 200 }, (_, i) => `file-${i}`);
    const byKey = [...names].sort((a, b) => (objectKey(a, 20) < objectKey(b, 20) ? -1 : 1));
    const byPosition = [...names].sort((a, b) => hasher(a, 20) - hasher(b, 20));
    expect(byKey.map((n) => hasher(n, 20))).toEqual(byPosition.map((n) => hasher(n, 20)));
  });
});
