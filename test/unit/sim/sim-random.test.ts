import { describe, expect, test } from '@jest/globals';
import { SimRandom } from '../../../src/sim/sim-random.ts';

const draws = (random: SimRandom, count: number): number[] => Array.from({ length: count }, () => random.word());

describe('SimRandom', () => {
  test('gives the same draws for the same seed and other draws for another', () => {
    expect(draws(new SimRandom('seed 1'), 100)).toEqual(draws(new SimRandom('seed 1'), 100));
    expect(draws(new SimRandom('seed 1'), 4)).not.toEqual(draws(new SimRandom('seed 2'), 4));
  });

  test('forks by label alone: draws made before the fork change nothing', () => {
    const fresh = new SimRandom('seed 7');
    const used = new SimRandom('seed 7');
    draws(used, 1000);
    expect(draws(used.fork('disk'), 10)).toEqual(draws(fresh.fork('disk'), 10));
    expect(draws(fresh.fork('disk'), 10)).not.toEqual(draws(fresh.fork('network'), 10));
  });

  test('draws uniformly below a bound, also above 32 bits', () => {
    const random = new SimRandom('seed 3');
    const counts = new Array<number>(8).fill(0);
    for (let i = 0; i < 80_000; i++) counts[random.below(8)]! += 1;
    for (const count of counts) expect(Math.abs(count - 10_000)).toBeLessThan(500);
    const wide = Array.from({ length: 1000 }, () => random.below(2 ** 48));
    expect(wide.every((value) => Number.isSafeInteger(value) && value >= 0 && value < 2 ** 48)).toBe(true);
    expect(Math.max(...wide)).toBeGreaterThan(2 ** 47);
  });

  test('gives as many hex digits as asked for', () => {
    const random = new SimRandom('seed 4');
    for (const bytes of [1, 3, 4, 16, 33]) expect(random.hex(bytes)).toMatch(new RegExp(`^[0-9a-f]{${2 * bytes}}$`));
  });
});
