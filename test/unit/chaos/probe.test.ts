/** What the probe concludes from its requests. */
import { describe, expect, test } from '@jest/globals';
import { availabilityOf, quantile } from '../../chaos/probe.ts';

const sample = (sentAt: number, failure: string | null = null, ms = 1): { sentAt: number; ms: number; failure: string | null } => ({ sentAt, ms, failure });

describe('availability', () => {
  test('has no gap where everything is answered, however far apart', () => {
    expect(availabilityOf([sample(0), sample(5_000), sample(5_010)])).toMatchObject({ requests: 3, failed: 0, longestGapMs: 0 });
  });

  test('has a gap from the last answered request before a failure to the first after it', () => {
    expect(availabilityOf([sample(0), sample(100), sample(120, '503'), sample(700, 'ECONNREFUSED'), sample(900), sample(950, '503'), sample(960)]))
      .toMatchObject({ failed: 3, longestGapMs: 800, reasons: new Map([['503', 2], ['ECONNREFUSED', 1]]) });
  });

  test('goes by the times of sending, not of answers', () => {
    expect(availabilityOf([sample(300), sample(100, '503'), sample(0, null, 5_000)]).longestGapMs).toBe(300);
  });

  test('counts failures before the first answer and after the last, which make no gap', () => {
    expect(availabilityOf([sample(0, '503'), sample(10), sample(20, '503')])).toMatchObject({ failed: 2, longestGapMs: 0 });
  });

  test('gives times of answered requests alone', () => {
    expect(availabilityOf([sample(0, null, 3), sample(1, '503', 5_000), sample(2, null, 5), sample(3, null, 4)])).toMatchObject({ median: 4, p99: 5 });
    expect(quantile([], 0.5)).toBe(0);
  });
});
