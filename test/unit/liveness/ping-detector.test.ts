import { beforeEach, describe, expect, test } from '@jest/globals';
import type { NodeId } from '../../../src/domain/ids.ts';
import type { MonotonicMs } from '../../../src/domain/instant.ts';
import { PingDetector } from '../../../src/liveness/ping-detector.ts';

const a = 'a'.repeat(32) as NodeId;
const b = 'b'.repeat(32) as NodeId;
const at = (ms: number): MonotonicMs => ms as MonotonicMs;

describe('ping detector', () => {
  let detector: PingDetector;
  beforeEach(() => {
    detector = new PingDetector({ periodMs: 500, missesMax: 3, probeAfterMisses: 2 });
    detector.watch([a, b]);
  });

  /** Pings `a` in `count` periods from `fromMs`, unanswered; returns the probe rounds started. */
  function miss(count: number, fromMs = 0): (number | null)[] {
    return Array.from({ length: count }, (_, i) => {
      const sentAt = at(fromMs + 500 * i);
      expect(detector.takeDue(sentAt)).toContain(a);
      return detector.missed(a, sentAt);
    });
  }

  test('pings each watched node once a period, and not again while a ping is out', () => {
    expect(detector.takeDue(at(0))).toEqual([a, b]);
    detector.answered(a);
    expect(detector.takeDue(at(400))).toEqual([]);
    expect(detector.takeDue(at(500))).toEqual([a]);
  });

  test('forgets what the last life of a node missed, and the ping that was under way to it', () => {
    miss(4);
    expect(detector.verdict(a)).toBe('unconfirmed');
    expect(detector.takeDue(at(2000))).toContain(a);
    detector.renewed(a);
    expect(detector.verdict(a)).toBe('up');
    expect(detector.missed(a, at(2000))).toBeNull();
    miss(2, 2100);
    expect(detector.verdict(a)).toBe('up');
  });

  test('a node that refutes is avoided until it answers, and accused only when nobody reaches it now', () => {
    const [, before] = miss(3);
    detector.probed(a, before ?? 0, false);
    expect(detector.verdict(a)).toBe('silent');
    detector.refuted(a);
    expect(detector.verdict(a)).toBe('unconfirmed');
    // What others tried before it refuted says nothing either.
    detector.probed(a, before ?? 0, false);
    expect(detector.verdict(a)).toBe('unconfirmed');
    const [, after] = miss(2, 1_500);
    detector.probed(a, after ?? 0, false);
    expect(detector.verdict(a)).toBe('silent');
  });

  test('a node that refutes stays one to whom only the link is bad, and one that answers stays up', () => {
    const [, round] = miss(3);
    detector.probed(a, round ?? 0, true);
    detector.refuted(a);
    expect(detector.verdict(a)).toBe('link-bad');
    detector.answered(a);
    detector.refuted(a);
    expect(detector.verdict(a)).toBe('up');
  });

  test('two misses leave a node up, the third makes it down', () => {
    miss(2);
    expect(detector.verdict(a)).toBe('up');
    miss(1, 1000);
    expect(detector.verdict(a)).toBe('unconfirmed');
    expect(detector.verdict(b)).toBe('up');
  });

  test('an answer between forgets the misses', () => {
    miss(2);
    detector.takeDue(at(1000));
    detector.answered(a);
    miss(2, 1500);
    expect(detector.verdict(a)).toBe('up');
  });

  test('probes start after the second miss and again after three more', () => {
    expect(miss(5)).toEqual([null, 1, null, null, 2]);
  });

  test('a node that others reach has a bad link only; one that nobody reaches is silent', () => {
    miss(3);
    detector.probed(a, 1, true);
    expect(detector.verdict(a)).toBe('link-bad');
    miss(2, 1500);
    expect(detector.verdict(a)).toBe('link-bad');
    detector.probed(a, 2, false);
    expect(detector.verdict(a)).toBe('silent');
  });

  test('an answer of an older probe round doesn\'t count', () => {
    miss(5);
    detector.probed(a, 1, true);
    expect(detector.verdict(a)).toBe('unconfirmed');
  });

  test('an answer brings any node back', () => {
    miss(3);
    detector.probed(a, 1, false);
    detector.answered(a);
    expect(detector.verdict(a)).toBe('up');
  });

  test('pings that this node overslept say nothing', () => {
    miss(2);
    detector.takeDue(at(1000));
    detector.stalled(at(3000));
    expect(detector.missed(a, at(1000))).toBeNull();
    expect(detector.verdict(a)).toBe('up');
    miss(1, 3000);
    expect(detector.verdict(a)).toBe('unconfirmed');
  });

  test('what is known of a node stays when the watched nodes change round it', () => {
    miss(3);
    detector.watch([a]);
    expect(detector.verdict(a)).not.toBe('up');
    detector.watch([b]);
    expect(detector.verdict(a)).toBe('up');
  });
});
