import { describe, expect, test } from '@jest/globals';
import { isAtLeast, spaceLevel, SPACE_LEVELS, takesCopies, type SpaceLevel } from '../../../src/domain/space-level.ts';

const GIB = 2 ** 30;
const at = (usedPart: number, before: SpaceLevel, totalBytes = 100 * GIB): SpaceLevel => spaceLevel({ totalBytes, freeBytes: (1 - usedPart) * totalBytes }, before);

describe('the level of a volume', () => {
  test('rises at 85, 92 and 97 %', () => {
    expect([0.849, 0.851, 0.919, 0.921, 0.969, 0.971, 1].map((used) => at(used, 'ample'))).toEqual(['ample', 'low', 'low', 'full', 'full', 'read-only', 'read-only']);
  });

  test('falls only when a seventh more is free than when it rose', () => {
    expect(at(0.965, 'read-only')).toBe('full');
    expect(at(0.968, 'read-only')).toBe('read-only');
    expect(at(0.915, 'full')).toBe('full');
    expect(at(0.905, 'full')).toBe('low');
    expect(at(0.84, 'low')).toBe('low');
    expect(at(0.82, 'low')).toBe('ample');
  });

  test('falls by several steps at once when much is free', () => {
    expect(at(0.1, 'read-only')).toBe('ample');
  });

  test('is ample on a large volume that has hundreds of gigabytes left', () => {
    expect(at(0.98, 'ample', 100_000 * GIB)).toBe('ample');
    expect(spaceLevel({ totalBytes: 100_000 * GIB, freeBytes: 39 * GIB }, 'ample')).toBe('read-only');
  });

  test('ends copies later than clients\' files', () => {
    expect(SPACE_LEVELS.filter(takesCopies)).toEqual(['ample', 'low', 'full']);
  });

  test('levels are ordered', () => {
    expect(SPACE_LEVELS.map((level) => isAtLeast(level, 'full'))).toEqual([false, false, true, true]);
  });
});
