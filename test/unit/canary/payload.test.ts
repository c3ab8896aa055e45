/** Bodies that prove themselves. */
import { describe, expect, test } from '@jest/globals';
import { payload, sizeOf, versionIn } from '../../../src/canary/payload.ts';

const NAME = { seed: 'abc', object: 'canary/1', version: 12 };

describe('a body of the canary', () => {
  test('names its version', () => {
    expect(versionIn(payload(NAME, 1000), 'abc', 'canary/1')).toBe(12);
    expect(versionIn(payload(NAME, 1), 'abc', 'canary/1')).toBe(12);
  });

  test('is another one for another seed, object, version or length', () => {
    const bodies = [payload(NAME, 1000), payload({ ...NAME, seed: 'abd' }, 1000), payload({ ...NAME, object: 'canary/2' }, 1000), payload({ ...NAME, version: 13 }, 1000), payload(NAME, 1001)];
    expect(new Set(bodies.map((body) => body.toString('hex'))).size).toBe(bodies.length);
  });

  test('is corrupt with any bit flipped, cut, with more behind it, or when it is of another object', () => {
    const body = payload(NAME, 200);
    for (let bit = 0; bit < body.length * 8; bit++) {
      const flipped = Buffer.from(body);
      flipped.writeUInt8(flipped.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
      expect(versionIn(flipped, 'abc', 'canary/1')).toBeNull();
    }
    expect(versionIn(body.subarray(0, 199), 'abc', 'canary/1')).toBeNull();
    expect(versionIn(Buffer.concat([body, Buffer.from('x')]), 'abc', 'canary/1')).toBeNull();
    expect(versionIn(body, 'abc', 'canary/2')).toBeNull();
    expect(versionIn(body, 'abd', 'canary/1')).toBeNull();
    expect(versionIn(Buffer.alloc(0), 'abc', 'canary/1')).toBeNull();
  });

  test('has a length between 1 and the most, small for most versions', () => {
    const sizes = Array.from({ length: 400 }, (_, version) => sizeOf({ ...NAME, version }, 262_144));
    expect(Math.min(...sizes)).toBeGreaterThan(0);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(262_144);
    expect(sizes.filter((size) => size > 16 * 1024).length).toBeGreaterThan(10);
    expect(sizes.filter((size) => size > 16 * 1024).length).toBeLessThan(100);
  });
});
