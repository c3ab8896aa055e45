import { expect, test } from '@jest/globals';
import { createHash } from 'node:crypto';
import { payload } from '../../../loadtest/lib/payload.ts';

const digest = (bytes: ArrayBuffer): string => createHash('sha256').update(new Uint8Array(bytes)).digest('hex');

test('the bytes of a generation are the same everywhere and always', () => {
  expect(digest(payload('load/steady/1/k7', 3, 10_000))).toBe(digest(payload('load/steady/1/k7', 3, 10_000)));
  // Fixed: a run verifies what an earlier one, perhaps of an older checkout, has left.
  expect(digest(payload('load/steady/1/k7', 3, 10_000))).toBe('54a56b472e88bcca2797f79ed9b8c86df1f843fc0371e99bc8e8af33693e3d27');
});

test('another key, generation or size is another body', () => {
  const digests = [payload('a', 1, 5000), payload('b', 1, 5000), payload('a', 2, 5000), payload('a', 1, 5001), payload('a', 1, 16)].map(digest);
  expect(new Set(digests).size).toBe(digests.length);
});

test('a body that is cut, or has blocks swapped, is not that of any size', () => {
  const whole = new Uint8Array(payload('a', 1, 3 * 4096));
  const cut = whole.slice(0, 2 * 4096);
  expect(digest(cut.buffer)).not.toBe(digest(payload('a', 1, cut.length)));
  const swapped = whole.slice();
  swapped.set(whole.subarray(4096, 8192), 0);
  swapped.set(whole.subarray(0, 4096), 4096);
  expect(digest(swapped.buffer)).not.toBe(digest(whole.buffer));
});
