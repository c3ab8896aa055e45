import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { BytePacer } from '../../../src/domain/byte-pacer.ts';
import type { MonotonicMs } from '../../../src/domain/instant.ts';

const OPTIONS = { rateMin: 1_000, rateMax: 16_000, burstBytes: 500 };
const at = (ms: number): MonotonicMs => ms as MonotonicMs;

describe('a byte pacer', () => {
  test('lets a burst pass, then no more than its rate, whatever the pieces', () => {
    fc.assert(fc.property(fc.array(fc.integer({ min: 1, max: 5_000 }), { minLength: 1, maxLength: 30 }), (pieces) => {
      const pacer = new BytePacer(OPTIONS, at(0));
      let now = 0;
      let spent = 0;
      for (const bytes of pieces) {
        now += pacer.spend(bytes, at(now));
        spent += bytes;
        expect(spent).toBeLessThanOrEqual(OPTIONS.burstBytes + (now / 1000) * OPTIONS.rateMax + 1e-6);
      }
    }));
  });

  test('halves its rate when clients wait, down to a floor above zero, and comes back up to its ceiling', () => {
    const pacer = new BytePacer(OPTIONS, at(0));
    pacer.slower(at(0));
    expect(pacer.rate).toBe(8_000);
    for (let i = 0; i < 10; i++) pacer.slower(at(0));
    expect(pacer.rate).toBe(OPTIONS.rateMin);
    expect(pacer.spend(1_500, at(0))).toBeCloseTo(1_000);
    for (let i = 0; i < 20; i++) pacer.faster(at(0));
    expect(pacer.rate).toBe(OPTIONS.rateMax);
  });

  test('saves up no more than one burst while nothing happens', () => {
    const pacer = new BytePacer(OPTIONS, at(0));
    expect(pacer.spend(500, at(0))).toBe(0);
    expect(pacer.spend(500, at(3_600_000))).toBe(0);
    expect(pacer.spend(16_000, at(3_600_000))).toBeCloseTo(1_000);
  });
});
